"""From an event of a model to the rows that it changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Change, Put, Remove, TemporalTable

from modelog_registry.events import EVENTS
from modelog_registry.model.card import CardEdited
from modelog_registry.model.change_events import ChangeEvent
from modelog_registry.model.change_state import ChangeRequest
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelDeleted,
    ModelEvent,
    ModelMoved,
    ModelRegistered,
    ModelRenamed,
    ModelTagged,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionTagged,
)
from modelog_registry.model.retired import RetirementAnnounced, RetirementCalledOff, RetirementObjected, SlaSet
from modelog_registry.model.signed import VersionSigned
from modelog_registry.model.state import Model
from modelog_registry.model.version import Gone, Version
from modelog_registry.read.columns import microseconds
from modelog_registry.read.models import card_messages, change_messages, model_messages, policy_messages, retirements
from modelog_registry.read.models.model_tables import (
    ALIASES,
    CARDS,
    CHANGES,
    KEY_LENGTH,
    MODEL_FACTS,
    MODEL_NAMES,
    MODEL_TAGS,
    MODELS,
    PROMOTIONS,
    RETIREMENTS,
    SIGNATURES,
    SLAS,
    TAG_LENGTH,
    VERSION_TAGS,
    VERSIONS,
)
from modelog_registry.read.models.signatures import signature_message
from modelog_registry.read.places import MODEL, placed
from modelog_registry.rules import RULED

# "runs:/<run>/<path>", "models:/<logged model>", and where MLflow's clients find their files.
SOURCE = re.compile(
    r"runs:/([^/]+)/.+|models:/([^/@]+)/?|mlflow-artifacts:(?://[^/]*)?/[^/]+/(?:models/)?([^/]+)/artifacts(?:/.*)?"
)
LONGEST_ID = 100


def model_rows(model: Model, stored: StoredEvent) -> Sequence[Change]:
    """The model's row, those of the versions that the event is about, and what both are searched by."""
    registered = model.registered
    if registered is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the model was registered")
    event: ModelEvent = EVENTS.decode(stored.type, stored.schema, stored.payload)
    name, entity = registered.name, registered.model_id
    changes: list[Change] = [_fact(entity, event, stored)]
    if isinstance(event, ModelDeleted):
        return [*changes, *_without_model(model, name, Gone(event.by, event.at))]
    if isinstance(event, ModelRenamed):
        changes += _renamed(model, event, stored.position)
    row = model_messages.model_message(model, registered, stored.position).SerializeToString()
    values = {
        "entity": entity,
        "folded": name.casefold()[:500],
        "type": model.type.value,
        "author": registered.author,
        "created_us": microseconds(registered.created_at or registered.at),
        "updated_us": microseconds(event.at),
    }
    changes.append(Put(MODELS, {"name": name}, row, values))
    if isinstance(event, ModelRegistered | ModelRenamed):
        changes.append(Put(MODEL_NAMES, {"name": name}, b"", {"entity": entity}))
    if isinstance(event, ModelRegistered | ModelMoved):
        changes.append(placed(MODEL, entity, model.place))
    changes += (_version_row(model, model.of(text), stored.position) for text in _versions_of(event))
    changes += _searched(model, event)
    if isinstance(event, VersionPromoted) and event.to_stage in RULED:
        judged = model.of(event.version).judged_for(model.changes.get(event.change))
        body = policy_messages.promotion_message(judged, event, stored.position).SerializeToString()
        key = {"entity": entity, "told": str(stored.version)}
        changes.append(Put(PROMOTIONS, key, body, {"at_position": stored.position}))
    if isinstance(event, SlaSet):
        body = retirements.sla_message(event, stored.position).SerializeToString()
        key = {"entity": entity, "number": str(event.number)}
        changes.append(Put(SLAS, key, body, {"at_position": stored.position}))
    if isinstance(event, RetirementAnnounced | RetirementObjected | RetirementCalledOff | VersionPromoted):
        changes += _retirement_rows(model.of(event.version), stored.position)
    if isinstance(event, VersionSigned):
        body = signature_message(event, stored.position).SerializeToString()
        values = {"version": event.version, "ordinal": stored.version}
        changes.append(Put(SIGNATURES, {"entity": entity, "told": str(stored.version)}, body, values))
    if isinstance(event, CardEdited):
        changes.append(_card_row(model.of(event.version), stored.position))
    if isinstance(event, ChangeEvent):
        changes.append(_change_row(model.changes[event.change], stored.position))
    return changes


def tagged(version: Version) -> str:
    """What the tags of a version are found by."""
    return f"{version.content.model}/{version.content.version}"


def _versions_of(event: ModelEvent) -> Sequence[str]:
    """The versions whose rows an event changes."""
    match event:
        case AliasSet(version=version, from_version=before):
            return [version, before] if before else [version]
        case VersionDeleted():
            return []
        case _:
            version = getattr(event, "version", "")
            return [version] if version else []


def named_in(source: str) -> str:
    """The id of the run or logged model that a source is of; "" for one elsewhere."""
    match = SOURCE.fullmatch(source)
    return next((part for part in match.groups() if part), "")[:LONGEST_ID] if match is not None else ""


def _version_row(model: Model, version: Version, position: int) -> Change:
    content = version.content
    values = {
        "entity": content.model_id,
        "folded": content.model.casefold()[:500],
        "stage": version.stage.value,
        "author": content.author,
        "run_id": content.run_id,
        "flavor": content.flavor,
        "source": content.source,
        "source_id": named_in(content.source),
        "created_us": microseconds(content.created_at or content.at),
        "updated_us": microseconds(version.updated_at),
        "ordinal": version.number,
        "tagged": tagged(version),
    }
    body = model_messages.version_message(model, version, position).SerializeToString()
    return Put(VERSIONS, {"model": content.model, "version": content.version}, body, values)


def _change_row(change: ChangeRequest, position: int) -> Change:
    asked = change.requested
    values = {
        "entity": asked.model_id,
        "version": asked.version,
        "state": change.state.value,
        "created_us": microseconds(asked.at),
        "ordinal": asked.change,
    }
    body = change_messages.change_message(change, position).SerializeToString()
    return Put(CHANGES, {"model": asked.model, "change": str(asked.change)}, body, values)


def _retirement_rows(version: Version, position: int) -> Iterator[Change]:
    retirement = version.retirement
    if retirement is None:
        return
    due = microseconds(retirement.announced.due)
    values = {"entity": version.content.model_id, "state": retirement.state.value, "due_us": due}
    body = retirements.retirement_message(version, retirement, position).SerializeToString()
    yield Put(RETIREMENTS, {"model": version.content.model, "version": version.content.version}, body, values)


def _card_row(version: Version, position: int) -> Change:
    content = version.content
    body = card_messages.written_message(version, position).SerializeToString()
    return Put(CARDS, {"model": content.model, "version": content.version}, body, {"entity": content.model_id})


def _renamed(model: Model, event: ModelRenamed, position: int) -> Iterator[Change]:
    """All rows that name the model begin anew under its new name; what is kept under its id stays as it was said."""
    old, new = event.old_name, event.name
    yield Remove(MODELS, {"name": old})
    yield Remove(MODEL_NAMES, {"name": old})
    yield from _tags(MODEL_TAGS, old, {}, list(model.tags))
    yield from _tags(MODEL_TAGS, new, model.tags)
    for alias, pointed in model.aliases.items():
        yield Remove(ALIASES, {"model": old, "alias": alias})
        yield Put(ALIASES, {"model": new, "alias": alias}, b"", {"version": pointed.version})
    for change in model.changes.values():
        yield Remove(CHANGES, {"model": old, "change": str(change.requested.change)})
        yield _change_row(change, position)
    for version in model.versions.values():
        yield from _version_renamed(model, version, old, position)


def _version_renamed(model: Model, version: Version, old: str, position: int) -> Iterator[Change]:
    key = {"model": old, "version": version.content.version}
    if version.gone is None:
        yield Remove(VERSIONS, key)
        yield _version_row(model, version, position)
        yield from _tags(VERSION_TAGS, f"{old}/{version.content.version}", {}, list(version.tags))
        yield from _tags(VERSION_TAGS, tagged(version), version.tags)
    if version.card_edited is not None:
        yield Remove(CARDS, key)
        yield _card_row(version, position)
    if version.retirement is not None:
        yield Remove(RETIREMENTS, key)
        yield from _retirement_rows(version, position)


def _searched(model: Model, event: ModelEvent) -> Iterator[Change]:
    match event:
        case ModelRegistered(name=name, tags=tags):
            yield from _tags(MODEL_TAGS, name, tags)
        case ModelTagged(model=name, tags=tags, removed=removed):
            yield from _tags(MODEL_TAGS, name, tags, removed)
        case VersionRegistered(version=version, tags=tags):
            yield from _tags(VERSION_TAGS, tagged(model.of(version)), tags)
        case VersionTagged(version=version, tags=tags, removed=removed):
            yield from _tags(VERSION_TAGS, tagged(model.of(version)), tags, removed)
        case AliasSet(model=name, alias=alias, version=version):
            yield Put(ALIASES, {"model": name, "alias": alias}, b"", {"version": version})
        case AliasDeleted(model=name, alias=alias):
            yield Remove(ALIASES, {"model": name, "alias": alias})
        case VersionDeleted(version=version):
            yield from _without_version(model.of(version))


def _without_model(model: Model, name: str, gone: Gone) -> Iterator[Change]:
    yield Remove(MODELS, {"name": name})
    yield from _tags(MODEL_TAGS, name, {}, list(model.tags))
    for version in model.versions.values():
        if version.gone == gone:
            yield from _without_version(version)


def _without_version(version: Version) -> Iterator[Change]:
    yield Remove(VERSIONS, {"model": version.content.model, "version": version.content.version})
    yield from _tags(VERSION_TAGS, tagged(version), {}, list(version.tags))


def _tags(table: TemporalTable, of: str, tags: Mapping[str, str], removed: Sequence[str] = ()) -> Iterator[Change]:
    for key, value in tags.items():
        values = {"value": value[:TAG_LENGTH], "folded": value.casefold()[:TAG_LENGTH]}
        yield Put(table, {"tagged": of, "tag": key[:KEY_LENGTH]}, b"", values)
    for key in removed:
        yield Remove(table, {"tagged": of, "tag": key[:KEY_LENGTH]})


def _fact(entity: str, event: ModelEvent, stored: StoredEvent) -> Change:
    body = model_messages.fact_message(event, stored.position).SerializeToString()
    values = {"version": getattr(event, "version", ""), "ordinal": stored.version}
    return Put(MODEL_FACTS, {"entity": entity, "told": str(stored.version)}, body, values)
