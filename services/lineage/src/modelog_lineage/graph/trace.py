"""Walking the graph: what something came from, or what came of it, as of a position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from modelog_common.domain.errors import Invalid
from modelog_common.stores.graph import Graph

from modelog_lineage.graph.batch import uid_of
from modelog_lineage.graph.vocabulary import MOMENTS

# Later than any position.
NOW = 1 << 62
DEFAULT_DEPTH = 10
MOST_NODES = 5000
_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])
_NODE = "n.uid AS uid, n.id AS id, n.kind AS kind, n.name AS name, n.valid_from AS since"
NODE = f"MATCH (n:Entity {{uid: $uid}}) WHERE n.tenant = $tenant AND n.valid_from <= $at RETURN {_NODE}"
STATES = (
    "UNWIND $rows AS row MATCH (s:State {uid: row.uid}) "
    "WHERE s.valid_from <= row.at AND (s.valid_until IS NULL OR s.valid_until > row.at) "
    "RETURN s.uid AS uid, s.attributes AS attributes"
)


class Way(StrEnum):
    """Along the links to what something came from, or against them to what came of it."""

    UPSTREAM = "(a)-[r]->(n:Entity)"
    DOWNSTREAM = "(a)<-[r]-(n:Entity)"


@dataclass(frozen=True)
class TracedNode:
    """A thing as it was; `since` is the position of the first event that told of it."""

    id: str
    kind: str
    name: str
    since: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TracedEdge:
    """A link from a thing to what it came from; `since` is the position of the event that made it."""

    source: str
    target: str
    kind: str
    since: int


@dataclass(frozen=True)
class Traced:
    """Things in the order in which they were reached, the first one being where the walk began, and their links."""

    nodes: Sequence[TracedNode]
    edges: Sequence[TracedEdge]


def step(way: Way) -> str:
    """One step from many nodes, each as of its own position."""
    return (
        f"UNWIND $rows AS row MATCH (a:Entity {{uid: row.uid}}) MATCH {way} "
        "WHERE n.tenant = $tenant AND r.valid_from <= row.at AND (r.valid_until IS NULL OR r.valid_until > row.at) "
        f"RETURN a.id AS from_id, row.at AS at, type(r) AS link, r.valid_from AS begun, {_NODE}"
    )


async def trace(graph: Graph, tenant: str, node: str, way: Way, *, depth: int, at: int | None = None) -> Traced | None:
    """The graph around a node id, up to `depth` steps, as of a position or now; None without the node.

    Upstream of a moment, such as a window, things are seen as they were at that moment. Raises Invalid when there is
    more than can be answered.
    """
    start = await graph.run_read(NODE, {"uid": uid_of(tenant, node), "tenant": tenant, "at": NOW if at is None else at})
    if not start:
        return None
    walk = _Walk(way, depth)
    frontier = walk.begin(start[0], NOW if at is None else at)
    for _ in range(walk.depth):
        if not frontier:
            break
        found = await graph.run_read(step(way), {"rows": frontier, "tenant": tenant})
        frontier = walk.take(found)
    return await walk.result(graph)


class _Walk:
    """A breadth-first walk: which nodes were reached, and as of which position each."""

    def __init__(self, way: Way, depth: int) -> None:
        self.depth = depth
        self._way = way
        self._nodes: dict[str, dict[str, Any]] = {}
        self._at: dict[str, int] = {}
        self._edges: dict[tuple[str, str, str, int], TracedEdge] = {}

    def begin(self, row: Mapping[str, Any], at: int) -> list[dict[str, Any]]:
        return self._reach([(dict(row), at)])

    def take(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Note what one step found; returns the nodes to go on from."""
        reached = []
        # In an order of our own: that of a database changes with the way in which it was filled.
        for row in sorted(rows, key=lambda r: (r["from_id"], r["link"], r["id"], r["begun"])):
            ends = (row["from_id"], row["id"]) if self._way is Way.UPSTREAM else (row["id"], row["from_id"])
            edge = TracedEdge(*ends, row["link"], row["begun"])
            self._edges[edge.source, edge.target, edge.kind, edge.since] = edge
            reached.append((dict(row), row["at"]))
        return self._reach(reached)

    def _reach(self, reached: Iterable[tuple[dict[str, Any], int]]) -> list[dict[str, Any]]:
        """Go on from nodes that are new, or that are now seen as of a later position than before."""
        further: dict[str, dict[str, Any]] = {}
        for row, at in reached:
            uid = row["uid"]
            if self._at.get(uid, 0) >= at:
                continue
            self._nodes.setdefault(uid, row)
            self._at[uid] = at
            frozen = self._way is Way.UPSTREAM and row["kind"] in MOMENTS
            further[uid] = {"uid": uid, "at": min(at, row["since"]) if frozen else at}
        if len(self._nodes) > MOST_NODES:
            raise Invalid.field(
                "depth", f"at {self.depth} steps the graph has more than {MOST_NODES} nodes; ask for fewer steps"
            )
        return list(further.values())

    async def result(self, graph: Graph) -> Traced:
        asked = [{"uid": uid, "at": at} for uid, at in self._at.items()]
        states = {row["uid"]: row["attributes"] for row in await graph.run_read(STATES, {"rows": asked})}
        nodes = [
            TracedNode(
                row["id"],
                row["kind"],
                row["name"],
                row["since"],
                _ATTRIBUTES.decode(states[uid]) if uid in states else {},
            )
            for uid, row in self._nodes.items()
        ]
        order = {node.id: number for number, node in enumerate(nodes)}
        edges = sorted(self._edges.values(), key=lambda e: (order[e.source], order[e.target], e.kind, e.since))
        return Traced(nodes, edges)
