"""The rules of what can be changed about a model and its versions: descriptions, tags, aliases, deletion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed
from modelog_common.domain.semver import SemanticVersion

from modelog_registry.model.card import LAST, NOTHING, CardEdited, EditCard, check_card, taken_over
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    MoveModel,
    RenameModel,
    SetAlias,
    TagModel,
    TagVersion,
    UpdateModel,
    UpdateVersion,
)
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelDeleted,
    ModelEvent,
    ModelMoved,
    ModelRenamed,
    ModelTagged,
    ModelUpdated,
    VersionDeleted,
    VersionTagged,
    VersionUpdated,
)
from modelog_registry.model.signed import SignVersion, VersionSigned, check_files
from modelog_registry.model.stage import Stage
from modelog_registry.model.state import Model
from modelog_registry.model.version import Version, told
from modelog_registry.names import check_model_name

# "latest" and "v1" are how clients of MLflow name versions otherwise.
_TAKEN = re.compile(r"latest|v[0-9]+", re.IGNORECASE)


def update_model(model: Model, command: UpdateModel, ctx: Context) -> Sequence[ModelEvent]:
    """Saying what it says already is not an error."""
    named = model.named(command.model)
    description = model.description if command.description is None else command.description
    kind = command.type or model.type
    if (description, kind) == (model.description, model.type):
        return ()
    return [ModelUpdated(named.model_id, named.name, description, kind, ctx.actor, ctx.now)]


def update_version(model: Model, command: UpdateVersion, ctx: Context) -> Sequence[ModelEvent]:
    """Saying what it says already is not an error."""
    known = model.version(command.model, command.version)
    if command.description is None or command.description == known.description:
        return ()
    content = known.content
    return [VersionUpdated(content.model_id, content.model, content.version, command.description, ctx.actor, ctx.now)]


def tag_model(model: Model, command: TagModel, ctx: Context) -> Sequence[ModelEvent]:
    """Only what changes is told; taking away a tag that is not there is not an error."""
    named = model.named(command.model)
    tags, removed = _changes(model.tags, command.tags, command.removed)
    if not tags and not removed:
        return ()
    return [ModelTagged(named.model_id, named.name, tags, removed, ctx.actor, ctx.now)]


def move_model(model: Model, command: MoveModel, ctx: Context) -> Sequence[ModelEvent]:
    """Where it is already it may be put again."""
    named = model.named(command.model)
    if command.place == model.place:
        return ()
    return [ModelMoved(named.model_id, named.name, model.place, command.place, ctx.actor, ctx.now)]


def rename_model(model: Model, command: RenameModel, ctx: Context) -> Sequence[ModelEvent]:
    """Not while a deployment serves it, for other services know it by its name. As it is called it may be called."""
    named = model.named(command.model)
    check_model_name(command.name, "new_name")
    if command.name == named.name:
        return ()
    if command.deployments:
        which = ", ".join(command.deployments)
        raise NotAllowed(
            f"{named.name} is served by {which}, and is known there by its name; stop what serves it, rename, and "
            "deploy it again under the new name"
        )
    versions = tuple(version.content.version for version in model.live)
    return [
        ModelRenamed(
            named.model_id,
            named.name,
            command.name,
            versions,
            len(model.changes),
            ctx.actor,
            ctx.now,
            ctx.request_id,
        )
    ]


def tag_version(model: Model, command: TagVersion, ctx: Context) -> Sequence[ModelEvent]:
    """Only what changes is told; taking away a tag that is not there is not an error."""
    known = model.version(command.model, command.version)
    tags, removed = _changes(known.tags, command.tags, command.removed)
    if not tags and not removed:
        return ()
    content = known.content
    return [VersionTagged(content.model_id, content.model, content.version, tags, removed, ctx.actor, ctx.now)]


def edit_card(model: Model, command: EditCard, ctx: Context) -> Sequence[ModelEvent]:
    """Saying what it says already is not an error."""
    known = model.version(command.model, command.version)
    check_card(command)
    content, parts, source = known.content, command.parts, None
    if command.taken_from:
        source = _card_to_take_over(model, known, command)
        parts = taken_over(source.card, known.card, command)
    edited = CardEdited(
        content.model_id, content.model, content.version, parts, command.cleared, ctx.actor, ctx.now,
        "" if source is None else source.content.version,
    )  # fmt: skip
    return [edited] if known.card.with_edit(edited) != known.card else ()


def _card_to_take_over(model: Model, known: Version, command: EditCard) -> Version:
    if command.taken_from != LAST:
        source = model.version(command.model, SemanticVersion.parse(command.taken_from, "from_version"))
        if source is known:
            raise Invalid.field("from_version", f"is {command.taken_from}, whose card it is; name another version")
        if source.card == NOTHING:
            raise Invalid.field("from_version", f"is {command.taken_from}, in whose card nobody has written anything")
        return source
    before = [v for v in model.live if v.number < known.number and v.card != NOTHING]
    if not before:
        raise Invalid.field("from_version", f"is last, and no version before {known.title} has a card that was written")
    return before[-1]


def sign_version(model: Model, command: SignVersion, ctx: Context) -> Sequence[ModelEvent]:
    """The same signature again is not an error."""
    known = model.version(command.model, command.version)
    check_files(command.files)
    wanted = (command.key, command.signature, command.files)
    if any((signed.key, signed.signature, signed.files) == wanted for signed in known.signatures):
        return ()
    content = known.content
    return [VersionSigned(content.model_id, content.model, content.version, *wanted, ctx.actor, ctx.now)]


def delete_model(model: Model, command: DeleteModel, ctx: Context) -> Sequence[ModelEvent]:
    """Not while a version is in production; its aliases go too."""
    named = model.named(command.model)
    for version in model.live:
        _check_deletable(version)
    return [
        *(_alias_deleted(model, alias, ctx) for alias in sorted(model.aliases)),
        ModelDeleted(named.model_id, named.name, command.reason, ctx.actor, ctx.now),
    ]


def delete_version(model: Model, command: DeleteVersion, ctx: Context) -> Sequence[ModelEvent]:
    """Not while it is in production; the aliases that point to it go too."""
    known = model.version(command.model, command.version)
    _check_deletable(known)
    content = known.content
    return [
        *(_alias_deleted(model, alias, ctx) for alias in model.aliases_of(content.version)),
        VersionDeleted(content.model_id, content.model, content.version, command.reason, ctx.actor, ctx.now),
    ]


def set_alias(model: Model, command: SetAlias, ctx: Context) -> Sequence[ModelEvent]:
    """An alias points to one version; where it points already is not an error, unless the caller expected another."""
    named = model.named(command.model)
    if _TAKEN.fullmatch(command.alias):
        raise Invalid.field("alias", f"{command.alias!r} has a meaning of its own; choose another name")
    known = model.version(command.model, command.version)
    pointed = model.aliases.get(command.alias)
    before = pointed.version if pointed is not None else ""
    if command.expected is not None and command.expected != before:
        raise Conflict(_moved(command, before, pointed))
    if before == known.content.version:
        return ()
    return [
        AliasSet(named.model_id, named.name, command.alias, known.content.version, before, ctx.actor, ctx.now),
    ]


def delete_alias(model: Model, command: DeleteAlias, ctx: Context) -> Sequence[ModelEvent]:
    """One that is not there is not an error."""
    model.named(command.model)
    return [_alias_deleted(model, command.alias, ctx)] if command.alias in model.aliases else ()


def _moved(command: SetAlias, before: str, pointed: AliasSet | None) -> str:
    expected = command.expected or "nothing"
    if pointed is None:
        return f"alias {command.alias!r} of {command.model} does not point to {expected}: there is no such alias"
    return (
        f"alias {command.alias!r} of {command.model} does not point to {expected} but to {before}; "
        f"{pointed.by} moved it there at {told(pointed.at)}"
    )


def _changes(
    known: Mapping[str, str], tags: Mapping[str, str], removed: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What of it changes anything; raises Invalid for a tag that is both set and taken away."""
    both = next((key for key in removed if key in tags), None)
    if both is not None:
        raise Invalid.field("removed", f"{both!r} stands in tags too; a tag is either set or taken away")
    return (
        {key: value for key, value in tags.items() if known.get(key) != value},
        tuple(key for key in dict.fromkeys(removed) if key in known),
    )


def _check_deletable(version: Version) -> None:
    if version.stage is Stage.PRODUCTION:
        raise NotAllowed(f"{version.title} is in production; archive it before it is deleted; {version.how}")


def _alias_deleted(model: Model, alias: str, ctx: Context) -> AliasDeleted:
    pointed = model.aliases[alias]
    return AliasDeleted(pointed.model_id, pointed.model, alias, pointed.version, ctx.actor, ctx.now)
