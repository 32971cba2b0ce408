"""From changes of things to documents of the catalogue: pure, so that the same events always make the same documents.

What the graph tells of a thing as attributes are tags here, so that each can be asked for: "stage", "metric.auc",
"parameter.max_depth". The tags that people gave stand among them under their own names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from modelog_common.events.store import StoredEvent
from modelog_common.stores.search import Document
from modelog_common.stores.search.checks import LONGEST_NAME, LONGEST_TEXT, MOST_TAGS

from modelog_lineage.graph.changes import Change, Describe, GoOn
from modelog_lineage.graph.vocabulary import Kind

KINDS = (
    Kind.MODEL,
    Kind.MODEL_VERSION,
    Kind.DATASET_VERSION,
    Kind.EXPERIMENT,
    Kind.RUN,
    Kind.DEPLOYMENT,
    Kind.MONITOR,
)
# What we say of things; a tag of this name that somebody gave keeps the prefix that the graph tells it apart by.
OURS = frozenset(
    {"stage", "status", "author", "model", "version", "dataset", "experiment", "deployment", "environment"}
)
GIVEN = "tag."
DESCRIPTION = "description"
Translated = Sequence[tuple[StoredEvent, Sequence[Change]]]


def described(translated: Translated) -> dict[str, list[str]]:
    """The ids of the things whose documents the events change, by tenant."""
    found: dict[str, dict[str, None]] = {}
    for event, change in _changes(translated):
        things = [change.thing, change.to] if isinstance(change, GoOn) else [change.thing]
        found.setdefault(event.tenant, {}).update(dict.fromkeys(thing.id for thing in things))
    return {tenant: list(ids) for tenant, ids in found.items()}


def documents_of(translated: Translated, before: Sequence[Document]) -> list[Document]:
    """The documents that end and begin with events in order; `before`: those that were true before the first event."""
    latest = {(d.tenant, d.id): d for d in before}
    changed: dict[tuple[str, str, int], Document] = {}

    def end(known: Document | None, position: int) -> None:
        if known is not None and known.position < position:
            changed[known.tenant, known.id, known.position] = replace(known, until=position)

    for event, change in _changes(translated):
        known = latest.get((event.tenant, change.thing.id))
        end(known, event.position)
        if isinstance(change, GoOn):
            # It is not found any more: another thing may come under its name.
            latest.pop((event.tenant, change.thing.id), None)
            end(latest.get((event.tenant, change.to.id)), event.position)
            name = change.name or change.to.key
            change = Describe(change.to, change.attributes, name)
        after = _after(known, event, change)
        changed[after.tenant, after.id, after.position] = after
        latest[after.tenant, after.id] = after
    return list(changed.values())


def _changes(translated: Translated) -> Iterator[tuple[StoredEvent, Describe | GoOn]]:
    for event, changes in translated:
        for change in changes:
            if isinstance(change, Describe | GoOn) and change.thing.kind in KINDS:
                yield event, change


def _after(known: Document | None, event: StoredEvent, change: Describe) -> Document:
    title, text, tags = (known.title, known.text, known.tags) if known else (change.thing.key, "", {})
    return Document(
        event.tenant,
        change.thing.id[:LONGEST_NAME],
        change.thing.kind,
        _kept(change.name or title, LONGEST_NAME),
        event.position,
        _kept(change.attributes.get(DESCRIPTION, text), LONGEST_TEXT),
        dict(list({**tags, **_tags(change.attributes)}.items())[:MOST_TAGS]),
    )


def _tags(attributes: Mapping[str, str]) -> dict[str, str]:
    return {
        _kept(_tag_name(name), LONGEST_NAME): _kept(value, LONGEST_NAME)
        for name, value in attributes.items()
        if name != DESCRIPTION
    }


def _tag_name(attribute: str) -> str:
    given = attribute.removeprefix(GIVEN)
    return attribute if given in OURS else given


def _kept(text: str, longest: int) -> str:
    """As much of a text as a search store takes."""
    return text.replace("\0", " ")[:longest]
