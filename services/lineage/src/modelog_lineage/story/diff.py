"""What changed between two positions of the log, told entity by entity."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import EventStore, StoredEvent, category_of
from modelog_common.read.moment import as_of_position

from modelog_lineage.story.sentences import ENTITIES, SENTENCES, entity_of, payload_of, sentence_of
from modelog_lineage.story.telling import Happened, Past
from modelog_lineage.story.words import Payload, short

# What one answer tells; the rest is counted.
MOST_ENTITIES = 500
MOST_SENTENCES = 50
MOST_POSITIONS = 1_000_000
LONGEST_LIST = 50


@dataclass
class _Things:
    """Events of one type about one thing."""

    position: int
    count: int
    first: Payload
    last: Payload
    told: str


@dataclass
class EntityChanges:
    """What happened to one entity; `left_off` sentences are not told."""

    stream: str
    kind: str
    name: str
    is_new: bool
    events: int = 0
    sentences: list[str] = field(default_factory=list)
    left_off: int = 0


@dataclass
class Difference:
    """What happened after `since` and up to `until`; `left_off` entities are counted only."""

    since: int
    until: int
    events: int
    by_type: dict[str, int]
    entities: list[EntityChanges]
    left_off: int
    first_at: datetime | None
    last_at: datetime | None


class _Entity:
    """Gathers one entity's events: a constant amount for each thing, whatever their number."""

    def __init__(self, first: StoredEvent) -> None:
        kind = entity_of(first.category)
        self.changes = EntityChanges(first.stream, kind.kind, "", first.version == 1)
        self._named = kind
        self._things: dict[tuple[str, str], _Things] = {}

    def add(self, event: StoredEvent) -> None:
        payload = payload_of(event)
        self.changes.events += 1
        self.changes.name = self.changes.name or self._named.name(payload)
        key, short_form = self._key(event, payload), _without_long_lists(payload)
        known = self._things.get(key)
        if known is not None:
            known.count, known.last, known.told = known.count + 1, short_form, sentence_of(event)
        elif len(self._things) < MOST_SENTENCES:
            self._things[key] = _Things(event.position, 1, short_form, short_form, sentence_of(event))
        else:
            self.changes.left_off += 1

    def _key(self, event: StoredEvent, payload: Payload) -> tuple[str, str]:
        sentence = SENTENCES.get(event.type)
        if sentence is None or sentence.all is None:
            return event.type, str(event.position)
        try:
            return event.type, sentence.thing(payload)
        except KeyError:
            return event.type, str(event.position)

    @property
    def wants_past(self) -> bool:
        return any(SENTENCES[kind].with_past for kind, _ in self._things if kind in SENTENCES)

    def told(self, past: Past) -> EntityChanges:
        things = sorted(self._things.items(), key=lambda item: item[1].position)
        self.changes.sentences = [_tell(kind, happened, past) for (kind, _), happened in things]
        self.changes.name = self.changes.name or short(self.changes.stream.partition("-")[2])
        return self.changes


def _without_long_lists(payload: Payload) -> Payload:
    """What sentences of many events look at: a run's ten thousand metric points are not kept for them."""
    return {name: v for name, v in payload.items() if not isinstance(v, list | dict) or len(v) <= LONGEST_LIST}


def _tell(kind: str, things: _Things, past: Past) -> str:
    sentence = SENTENCES.get(kind)
    if sentence is None or sentence.all is None:
        return things.told
    try:
        return sentence.all(Happened(things.count, things.first, things.last, things.told, past))
    except (KeyError, TypeError, ValueError, AttributeError):
        return things.told


async def end_of(store: EventStore, text: str, field: str) -> int:
    """The position that an end of a difference stands for: "1234", an RFC 3339 time, or now, when it is empty."""
    head = await store.head()
    position = await as_of_position(text, store, field)
    if position is not None and position > head:
        raise Invalid.field(field, f"position {text} is in the future; the log's last position is {head}")
    return head if position is None else position


async def difference(store: EventStore, tenant: str, since: int, until: int) -> Difference:
    """What happened in a tenant after `since` and up to `until`. Raises Invalid when they are the wrong way round."""
    if since > until:
        raise Invalid.field("since", f"position {since} is after {until}, the end; the earlier one comes first")
    if until - since > MOST_POSITIONS:
        raise Invalid.field(
            "since", f"is {until - since:,} positions before the end; one answer covers {MOST_POSITIONS:,}"
        )
    found = Difference(since, until, 0, {}, [], 0, None, None)
    entities: dict[str, _Entity] = {}
    left_off, by_type = set[str](), Counter[str]()
    async for event in store.read_all(after=since, until=until):
        if event.tenant != tenant:
            continue
        found.events += 1
        found.first_at, found.last_at = found.first_at or event.recorded_at, event.recorded_at
        by_type[event.type] += 1
        if event.stream in entities or len(entities) < MOST_ENTITIES:
            entities.setdefault(event.stream, _Entity(event)).add(event)
        else:
            left_off.add(event.stream)
    found.by_type, found.left_off = dict(sorted(by_type.items())), len(left_off)
    found.entities = [await _told(store, entity, until) for entity in _in_order(entities)]
    return found


def _in_order(entities: dict[str, _Entity]) -> list[_Entity]:
    """Kind by kind, in the order of ENTITIES; inside a kind as they came up."""
    order = list(ENTITIES)

    def place(entity: _Entity) -> int:
        category = category_of(entity.changes.stream)
        return order.index(category) if category in ENTITIES else len(order)

    return sorted(entities.values(), key=place)


async def _told(store: EventStore, entity: _Entity, until: int) -> EntityChanges:
    stream = entity.changes.stream
    past: list[tuple[str, Payload]] = []
    if entity.wants_past:
        past = [(e.type, _without_long_lists(payload_of(e))) async for e in store.read_stream(stream, until=until)]
    if not entity.changes.name:
        entity.changes.name = await _first_name(store, stream)
    return entity.told(past)


async def _first_name(store: EventStore, stream: str) -> str:
    async for event in store.read_stream(stream):
        return entity_of(event.category).name(payload_of(event))
    return ""
