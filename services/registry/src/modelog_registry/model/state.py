"""A model as its events left it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, assert_never

from modelog_common.domain.errors import NotFound
from modelog_common.domain.semver import SemanticVersion
from msgspec import structs

from modelog_registry.model.card import CardEdited
from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
)
from modelog_registry.model.change_state import ChangeRequest, evolve_change, requested
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelDeleted,
    ModelEvent,
    ModelMoved,
    ModelRegistered,
    ModelRenamed,
    ModelTagged,
    ModelUpdated,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
    VersionTagged,
    VersionUpdated,
)
from modelog_registry.model.retired import (
    Retirement,
    RetirementAnnounced,
    RetirementCalledOff,
    RetirementObjected,
    RetirementState,
    SlaSet,
)
from modelog_registry.model.signed import VersionSigned
from modelog_registry.model.stage import ModelType, Stage
from modelog_registry.model.version import Gone, Version
from modelog_registry.place import DEFAULT_PLACE, Place

Said = TypeVar("Said")


@dataclass(frozen=True)
class Model:
    """A model and its versions, the deleted ones too; before its first event it has no name."""

    registered: ModelRegistered | None = None
    versions: Mapping[SemanticVersion, Version] = field(default_factory=dict)
    description: str = ""
    type: ModelType = ModelType.UNSPECIFIED
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, AliasSet] = field(default_factory=dict)
    changes: Mapping[int, ChangeRequest] = field(default_factory=dict)
    sla: SlaSet | None = None
    updated_at: datetime | None = None
    gone: Gone | None = None
    place: Place = DEFAULT_PLACE
    renamed: ModelRenamed | None = None

    @property
    def name(self) -> str:
        """As it is called, also when it is deleted."""
        return self.registered.name if self.registered is not None else ""

    def named(self, name: str) -> ModelRegistered:
        """Who registered the model; raises NotFound, which names it, when nobody did or when it was deleted."""
        if self.registered is None or self.registered.name != name:
            raise NotFound(f"there is no model {name!r}; register it first")
        if self.gone is not None:
            raise NotFound(f"there is no model {name!r} any more: {self.gone}; registering it again goes on with it")
        return self.registered

    def version(self, name: str, version: SemanticVersion) -> Version:
        """One version; raises NotFound, which names model and version."""
        self.named(name)
        found = self.versions.get(version)
        if found is None:
            newest = f"the newest is {max(self.versions)}" if self.versions else "it has none yet"
            raise NotFound(f"{name} has no version {version}; {newest}")
        if found.gone is not None:
            raise NotFound(f"{name} has no version {version} any more: {found.gone}")
        return found

    def change(self, name: str, number: int) -> ChangeRequest:
        """One change request; raises NotFound, which names it."""
        self.named(name)
        found = self.changes.get(number)
        if found is None:
            raise NotFound(f"{name} has no change request {number}; it has {len(self.changes)}")
        return found

    @property
    def live(self) -> Iterable[Version]:
        """The versions that are not deleted, in the order in which they were registered."""
        return (v for v in self.versions.values() if v.gone is None)

    def next_version(self) -> SemanticVersion:
        return max(self.versions).next_minor() if self.versions else SemanticVersion(1, 0, 0)

    def version_of_request(self, request_id: str) -> Version | None:
        """The version that a request registered."""
        return next((v for v in self.versions.values() if v.content.request_id == request_id), None)

    def change_of_request(self, request_id: str) -> ChangeRequest | None:
        """The change request that a request opened."""
        return next((c for c in self.changes.values() if c.requested.request_id == request_id), None)

    def aliases_of(self, version: str) -> list[str]:
        """The aliases that point to a version, by name."""
        return sorted(alias for alias, pointed in self.aliases.items() if pointed.version == version)

    def with_version(self, version: Version) -> Model:
        key = SemanticVersion.parse(version.content.version)
        return replace(self, versions={**self.versions, key: version})

    def of(self, version: str) -> Version:
        """One version by its text, deleted or not; it must be there."""
        return self.versions[SemanticVersion.parse(version)]


def evolve(model: Model, event: ModelEvent) -> Model:
    """Fold one event."""
    return replace(_evolve(model, event), updated_at=event.at)


def _evolve(model: Model, event: ModelEvent) -> Model:
    match event:
        case ModelRegistered(description=description, type=kind, tags=tags, place=place):
            named = replace(model, registered=event, description=description, type=kind, tags=tags)
            return replace(named, gone=None, place=place)
        case ModelMoved(place=place):
            return replace(model, place=place)
        case ModelRenamed():
            return _renamed(model, event)
        case VersionRegistered(at=at, description=description, tags=tags):
            return model.with_version(Version(event, at, len(model.versions) + 1, description, tags))
        case VersionReviewed(version=version, at=at):
            reviewed = model.of(version)
            return model.with_version(replace(reviewed, reviews=(*reviewed.reviews, event), updated_at=at))
        case VersionPromoted(version=version, to_stage=stage, at=at):
            before = model.of(version)
            retirement = _moved_on(before.retirement, event)
            return model.with_version(replace(before, stage=stage, moved=event, updated_at=at, retirement=retirement))
        case ModelUpdated(description=description, type=kind):
            return replace(model, description=description, type=kind)
        case ModelTagged():
            return replace(model, tags=_tagged(model.tags, event))
        case ModelDeleted(by=by, at=at):
            gone = Gone(by, at)
            versions = {key: v if v.gone else replace(v, gone=gone) for key, v in model.versions.items()}
            return replace(model, gone=gone, versions=versions, aliases={})
        case VersionUpdated(version=version, description=description, at=at):
            return model.with_version(replace(model.of(version), description=description, updated_at=at))
        case VersionTagged(version=version, at=at):
            tagged = model.of(version)
            return model.with_version(replace(tagged, tags=_tagged(tagged.tags, event), updated_at=at))
        case VersionDeleted(version=version, by=by, at=at):
            return model.with_version(replace(model.of(version), gone=Gone(by, at)))
        case AliasSet(alias=alias):
            return replace(model, aliases={**model.aliases, alias: event})
        case AliasDeleted(alias=alias):
            return replace(model, aliases={a: pointed for a, pointed in model.aliases.items() if a != alias})
        case CardEdited(version=version, at=at):
            edited = model.of(version)
            card = edited.card.with_edit(event)
            source = event.taken_from or edited.card_taken_from
            return model.with_version(
                replace(edited, card=card, card_edited=event, card_taken_from=source, updated_at=at)
            )
        case VersionSigned(version=version, at=at):
            signed = model.of(version)
            return model.with_version(replace(signed, signatures=(*signed.signatures, event), updated_at=at))
        case SlaSet():
            return replace(model, sla=event)
        case RetirementAnnounced(version=version):
            return model.with_version(replace(model.of(version), retirement=Retirement(event)))
        case RetirementObjected(version=version) | RetirementCalledOff(version=version):
            ended = model.of(version)
            retirement = ended.retirement.ended(event) if ended.retirement is not None else None
            return model.with_version(replace(ended, retirement=retirement))
        case ChangeRequested(change=number):
            return replace(model, changes={**model.changes, number: requested(event)})
        case (
            ChangeEvidenceAttached(change=number, version=version)
            | ChangeReviewersAsked(change=number, version=version)
            | ChangeCommented(change=number, version=version)
            | ChangeReviewed(change=number, version=version)
            | ChangeWithdrawn(change=number, version=version)
            | ChangeApplied(change=number, version=version)
        ):
            changed = evolve_change(model.changes[number], event, len(model.of(version).reviews))
            return replace(model, changes={**model.changes, number: changed})
        case _:
            assert_never(event)


def _renamed(model: Model, event: ModelRenamed) -> Model:
    """Whatever is said from now on of what was said before names the model as it is called then."""
    named, name = model.registered, event.name
    return replace(
        model,
        registered=_with(named, name=name) if named is not None else None,
        versions={key: replace(v, content=_with(v.content, model=name)) for key, v in model.versions.items()},
        aliases={alias: _with(pointed, model=name) for alias, pointed in model.aliases.items()},
        changes={n: replace(c, requested=_with(c.requested, model=name)) for n, c in model.changes.items()},
        renamed=event,
    )


def _with(said: Said, **fields: str) -> Said:
    """An event with other values."""
    struct: Any = said
    other: Said = structs.replace(struct, **fields)
    return other


def _moved_on(retirement: Retirement | None, event: VersionPromoted) -> Retirement | None:
    """Whoever moves a version ends its retirement, or carries it out; an objection was about the stage before."""
    if retirement is None or retirement.state in (RetirementState.CALLED_OFF, RetirementState.ARCHIVED):
        return retirement
    state = RetirementState.ARCHIVED if event.to_stage is Stage.ARCHIVED else RetirementState.CALLED_OFF
    return replace(retirement, state=state, ended_by=event.by, ended_at=event.at, ended_because=event.reason)


def _tagged(tags: Mapping[str, str], event: ModelTagged | VersionTagged) -> dict[str, str]:
    return {key: value for key, value in {**tags, **event.tags}.items() if key not in event.removed}
