"""A model as its events left it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from modelog_common.domain.errors import NotFound
from modelog_common.domain.semver import SemanticVersion

from modelog_registry.model.card import NOTHING, CardEdited, CardParts
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
from modelog_registry.model.stage import Decision, ModelType, Stage
from modelog_registry.place import DEFAULT_PLACE, Place
from modelog_registry.rules import Candidate


@dataclass(frozen=True)
class Gone:
    """By whom something was deleted, and when."""

    by: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.by} deleted it at {told(self.at)}"


@dataclass(frozen=True)
class Version:
    """One version: what was registered, and what became of it; `number` counts a model's versions from 1."""

    content: VersionRegistered
    updated_at: datetime
    number: int
    description: str
    tags: Mapping[str, str]
    stage: Stage = Stage.DEVELOPMENT
    moved: VersionPromoted | None = None
    reviews: tuple[VersionReviewed, ...] = ()
    card: CardParts = NOTHING
    card_edited: CardEdited | None = None
    signatures: tuple[VersionSigned, ...] = ()
    retirement: Retirement | None = None
    gone: Gone | None = None

    @property
    def title(self) -> str:
        """As messages name it: "flight-delay 1.0.0"."""
        return f"{self.content.model} {self.content.version}"

    @property
    def last_review(self) -> VersionReviewed | None:
        return self.reviews[-1] if self.reviews else None

    @property
    def approval_id(self) -> str:
        """The approval in force: that of the last review, empty when it rejected or when there is none."""
        last = self.last_review
        return last.approval_id if last is not None and last.decision is Decision.APPROVED else ""

    @property
    def judged(self) -> Candidate:
        """What the rules of promotions look at."""
        return self.judged_for(None)

    def judged_for(self, change: ChangeRequest | None) -> Candidate:
        """The same with the approvals of the change request that asks for the promotion.

        An approval stands until somebody rejects the version.
        """
        approvals = change.approvals if change is not None else ()
        since = max((n for n, r in enumerate(self.reviews) if r.decision is Decision.REJECTED), default=-1) + 1
        people = [review.reviewer for review in self.reviews[since:]]
        people += [given.review.by for given in approvals if given.after >= since]
        rejection = self.reviews[since - 1] if since and not people else None
        return Candidate(
            self.title,
            self.content.author,
            self.content.metrics,
            tuple(dict.fromkeys(people)),
            rejection.reviewer if rejection is not None else "",
            rejection.comment if rejection is not None else "",
            change.requested.change if change is not None else 0,
        )

    @property
    def how(self) -> str:
        """Who brought it to its stage, and when."""
        if self.moved is None:
            return f"{self.content.author} registered it at {told(self.content.at)}"
        return f"{self.moved.by} moved it there at {told(self.moved.at)}"


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

    def named(self, name: str) -> ModelRegistered:
        """Who registered the model; raises NotFound, which names it, when nobody did or when it was deleted."""
        if self.registered is None:
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


def told(at: datetime) -> str:
    """A time as messages tell it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


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
            return model.with_version(replace(edited, card=card, card_edited=event, updated_at=at))
        case VersionSigned(version=version, at=at):
            signed = model.of(version)
            return model.with_version(replace(signed, signatures=(*signed.signatures, event), updated_at=at))
        case SlaSet():
            return replace(model, sla=event)
        case RetirementAnnounced(version=version):
            return model.with_version(replace(model.of(version), retirement=Retirement(event)))
        case RetirementObjected(version=version) | RetirementCalledOff(version=version):
            ended = model.of(version)
            return model.with_version(replace(ended, retirement=_ended(ended.retirement, event)))
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


def _ended(retirement: Retirement | None, event: RetirementObjected | RetirementCalledOff) -> Retirement | None:
    if retirement is None:
        return None
    objected = isinstance(event, RetirementObjected)
    state = RetirementState.OBJECTED if objected else RetirementState.CALLED_OFF
    return replace(retirement, state=state, ended_by=event.by, ended_at=event.at, ended_because=event.reason)


def _moved_on(retirement: Retirement | None, event: VersionPromoted) -> Retirement | None:
    """Whoever moves a version ends its retirement, or carries it out; an objection was about the stage before."""
    if retirement is None or retirement.state in (RetirementState.CALLED_OFF, RetirementState.ARCHIVED):
        return retirement
    state = RetirementState.ARCHIVED if event.to_stage is Stage.ARCHIVED else RetirementState.CALLED_OFF
    return replace(retirement, state=state, ended_by=event.by, ended_at=event.at, ended_because=event.reason)


def _tagged(tags: Mapping[str, str], event: ModelTagged | VersionTagged) -> dict[str, str]:
    return {key: value for key, value in {**tags, **event.tags}.items() if key not in event.removed}
