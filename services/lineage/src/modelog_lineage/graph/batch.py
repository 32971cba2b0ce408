"""The changes of a batch of events as rows for the graph, each with the positions from and until which it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelog_common.domain.ids import derived_id
from modelog_common.events.store import StoredEvent

from modelog_lineage.graph.changes import Change, Connect, Describe, Disconnect, GoOn, Thing
from modelog_lineage.graph.vocabulary import Kind, Link

Attributes = Mapping[str, str]


def uid_of(tenant: str, node: str) -> str:
    """What identifies a node among those of all tenants."""
    return derived_id(tenant, node)


@dataclass
class NodeRow:
    """A thing that the batch mentions; `valid_from` is the first position of the batch that does."""

    uid: str
    tenant: str
    thing: Thing
    valid_from: int


@dataclass
class StateRow:
    """All attributes of a thing for a span of positions; `valid_until` None means that they still hold."""

    uid: str
    tenant: str
    attributes: Attributes
    valid_from: int
    valid_until: int | None = None


@dataclass
class EdgeRow:
    """A link for a span of positions."""

    source: str
    target: str
    link: Link
    tenant: str
    valid_from: int
    valid_until: int | None = None


@dataclass
class Batch:
    """What a batch of events writes.

    `nodes` by uid. `names` of described things by uid. `states` of each uid in order; its first one ends the state that
    the graph holds. `edges` that begin. `ended`: where links end that the graph holds.
    """

    nodes: dict[str, NodeRow] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    states: dict[str, list[StateRow]] = field(default_factory=dict)
    edges: dict[tuple[str, Link, str, int], EdgeRow] = field(default_factory=dict)
    ended: dict[tuple[str, Link], int] = field(default_factory=dict)

    def kinds(self) -> dict[Kind, list[NodeRow]]:
        """The nodes by kind."""
        found: dict[Kind, list[NodeRow]] = {}
        for row in self.nodes.values():
            found.setdefault(row.thing.kind, []).append(row)
        return found


Translated = Sequence[tuple[StoredEvent, Sequence[Change]]]


def described(translated: Translated) -> list[str]:
    """The uids of the things whose attributes the batch changes."""
    uids = {
        uid_of(event.tenant, thing.id): None
        for event, changes in translated
        for change in changes
        for thing in _things(change)
    }
    return list(uids)


def _things(change: Change) -> Sequence[Thing]:
    match change:
        case Describe():
            return [change.thing]
        case GoOn():
            return [change.thing, change.to]
        case _:
            return []


def fold(translated: Translated, current: Mapping[str, Attributes]) -> Batch:
    """Rows for the changes of events in order; `current` holds the attributes that the graph has now, by uid."""
    batch = Batch()
    for event, changes in translated:
        for change in changes:
            match change:
                case Describe():
                    _describe(batch, event, change, current)
                case Connect():
                    _connect(batch, event, change)
                case Disconnect():
                    _disconnect(batch, event, change)
                case GoOn():
                    _go_on(batch, event, change, current)
    return batch


def _mention(batch: Batch, event: StoredEvent, thing: Thing) -> str:
    uid = uid_of(event.tenant, thing.id)
    batch.nodes.setdefault(uid, NodeRow(uid, event.tenant, thing, event.position))
    return uid


def _describe(batch: Batch, event: StoredEvent, change: Describe, current: Mapping[str, Attributes]) -> None:
    uid = _mention(batch, event, change.thing)
    if change.name:
        batch.names[uid] = change.name
    _become(batch, event, uid, {**_now(batch, uid, current), **change.attributes})


def _go_on(batch: Batch, event: StoredEvent, change: GoOn, current: Mapping[str, Attributes]) -> None:
    uid, to = _mention(batch, event, change.thing), _mention(batch, event, change.to)
    if change.name:
        batch.names[to] = change.name
    before = _now(batch, uid, current)
    _become(batch, event, to, {**before, **change.attributes})
    _become(batch, event, uid, {**before, **change.left})
    _connect(batch, event, Connect(change.to, Link.RENAMED_FROM, change.thing))


def _now(batch: Batch, uid: str, current: Mapping[str, Attributes]) -> Attributes:
    states = batch.states.get(uid)
    return states[-1].attributes if states else current.get(uid, {})


def _become(batch: Batch, event: StoredEvent, uid: str, after: Attributes) -> None:
    states = batch.states.setdefault(uid, [])
    if states and states[-1].valid_from == event.position:
        states[-1].attributes = after
        return
    if states:
        states[-1].valid_until = event.position
    states.append(StateRow(uid, event.tenant, after, event.position))


def _connect(batch: Batch, event: StoredEvent, change: Connect) -> None:
    source, target = _mention(batch, event, change.source), _mention(batch, event, change.target)
    key = (source, change.link, target, event.position)
    batch.edges[key] = EdgeRow(source, target, change.link, event.tenant, event.position)


def _disconnect(batch: Batch, event: StoredEvent, change: Disconnect) -> None:
    source = _mention(batch, event, change.source)
    batch.ended.setdefault((source, change.link), event.position)
    for edge in _open(batch.edges.values(), source, change.link):
        if edge.valid_from < event.position:
            edge.valid_until = event.position


def _open(edges: Iterable[EdgeRow], source: str, link: Link) -> Iterable[EdgeRow]:
    return (e for e in edges if e.source == source and e.link is link and e.valid_until is None)
