"""The words of the graph database: a batch as Cypher that writes the same however often it is run.

Every thing is a node with the labels Entity and its kind; its attributes are State nodes, each for a span of positions;
the node itself carries the newest ones, for people who look with a browser. Labels and kinds of links cannot be
parameters in Cypher: they come from our own enumerations only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from modelog_common.stores.graph import Statement

from modelog_lineage.graph.batch import Attributes, Batch
from modelog_lineage.graph.vocabulary import Kind, Link

SCHEMA = (
    "CREATE CONSTRAINT entity_uid IF NOT EXISTS FOR (n:Entity) REQUIRE n.uid IS UNIQUE",
    "CREATE INDEX state_uid IF NOT EXISTS FOR (s:State) ON (s.uid)",
    "CREATE CONSTRAINT state_span IF NOT EXISTS FOR (s:State) REQUIRE (s.uid, s.valid_from) IS UNIQUE",
    "CREATE CONSTRAINT projection_name IF NOT EXISTS FOR (p:Projection) REQUIRE p.name IS UNIQUE",
)
# In parts, since one transaction that deletes a whole graph may not fit into a server's memory.
CLEAR = (
    "MATCH (n) WHERE n:Entity OR n:State OR n:Projection WITH n LIMIT $limit DETACH DELETE n RETURN count(*) AS gone"
)
PROJECTION = (
    "MATCH (p:Projection {name: $name}) RETURN p.format AS format, p.generation AS generation, p.progress AS progress"
)
BEGIN_PROJECTION = (
    "MERGE (p:Projection {name: $name}) SET p.format = $format, p.generation = $generation, p.progress = $progress"
)
# Writes nothing when the graph is not the one that the projector began with.
SAVE_PROGRESS = (
    "MATCH (p:Projection {name: $name, generation: $generation}) SET p.progress = $progress "
    "RETURN p.generation AS generation"
)
CURRENT_STATES = (
    "UNWIND $uids AS uid MATCH (s:State {uid: uid}) WHERE s.valid_until IS NULL "
    "RETURN s.uid AS uid, s.attributes AS attributes"
)


def nodes_of(kind: Kind) -> str:
    """Make the nodes that are missing.

    Not MERGE: with two labels ArcadeDB looks for it without the index, at a cost that grows with the graph (measured).
    """
    return (
        "UNWIND $rows AS row OPTIONAL MATCH (known:Entity {uid: row.uid}) WITH row, known WHERE known IS NULL "
        f"CREATE (n:Entity:{kind} {{uid: row.uid, id: row.id, tenant: row.tenant, kind: row.kind, name: row.key, "
        "valid_from: row.valid_from})"
    )


# Topics are read at their own pace, so an older mention of a node may come later.
OLDER = (
    "UNWIND $rows AS row MATCH (n:Entity {uid: row.uid}) WHERE n.valid_from > row.valid_from "
    "SET n.valid_from = row.valid_from"
)
NAMES = "UNWIND $rows AS row MATCH (n:Entity {uid: row.uid}) SET n.name = row.name"
NEWEST = "UNWIND $rows AS row MATCH (n:Entity {uid: row.uid}) SET n += row.attributes"
END_STATES = (
    "UNWIND $rows AS row MATCH (s:State {uid: row.uid}) WHERE s.valid_until IS NULL AND s.valid_from < row.position "
    "SET s.valid_until = row.position"
)
STATES = (
    "UNWIND $rows AS row MERGE (s:State {uid: row.uid, valid_from: row.valid_from}) "
    "SET s.tenant = row.tenant, s.attributes = row.attributes, s.valid_until = row.valid_until"
)


def end_edges(link: Link) -> str:
    """End links that the graph holds."""
    return (
        f"UNWIND $rows AS row MATCH (n:Entity {{uid: row.uid}})-[r:{link}]->(:Entity) "
        "WHERE r.valid_until IS NULL AND r.valid_from < row.position SET r.valid_until = row.position"
    )


def edges_of(link: Link) -> str:
    """Begin links."""
    return (
        "UNWIND $rows AS row MATCH (a:Entity {uid: row.source}) MATCH (b:Entity {uid: row.target}) "
        f"MERGE (a)-[r:{link} {{valid_from: row.valid_from}}]->(b) "
        "SET r.tenant = row.tenant, r.valid_until = row.valid_until"
    )


def statements_of(batch: Batch) -> Iterator[Statement]:
    """The batch, to be run in this order in one transaction."""
    for kind, nodes in batch.kinds().items():
        rows: list[dict[str, Any]] = [
            {
                "uid": n.uid, "id": n.thing.id, "tenant": n.tenant, "kind": str(kind), "key": n.thing.key,
                "valid_from": n.valid_from,
            }
            for n in nodes
        ]  # fmt: skip
        yield Statement(nodes_of(kind), {"rows": rows})
        yield Statement(OLDER, {"rows": [{"uid": n.uid, "valid_from": n.valid_from} for n in nodes]})
    if batch.names:
        yield Statement(NAMES, {"rows": [{"uid": uid, "name": name} for uid, name in batch.names.items()]})
    if batch.states:
        yield from _states(batch)
    for link in Link:
        ended = [{"uid": uid, "position": at} for (uid, kind_), at in batch.ended.items() if kind_ is link]
        if ended:
            yield Statement(end_edges(link), {"rows": ended})
        begun = [
            {
                "source": e.source, "target": e.target, "tenant": e.tenant, "valid_from": e.valid_from,
                "valid_until": e.valid_until,
            }
            for e in batch.edges.values()
            if e.link is link
        ]  # fmt: skip
        if begun:
            yield Statement(edges_of(link), {"rows": begun})


def _states(batch: Batch) -> Iterator[Statement]:
    yield Statement(
        END_STATES, {"rows": [{"uid": uid, "position": s[0].valid_from} for uid, s in batch.states.items()]}
    )
    rows = [
        {
            "uid": s.uid, "tenant": s.tenant, "attributes": msgspec.json.encode(s.attributes).decode(),
            "valid_from": s.valid_from, "valid_until": s.valid_until,
        }
        for states in batch.states.values()
        for s in states
    ]  # fmt: skip
    yield Statement(STATES, {"rows": rows})
    newest = [{"uid": uid, "attributes": _ours(states[-1].attributes)} for uid, states in batch.states.items()]
    yield Statement(NEWEST, {"rows": newest})


def _ours(attributes: Attributes) -> dict[str, str]:
    """Without those of somebody else's naming (metric.x): names of properties are our vocabulary, not user input."""
    return {name: value for name, value in attributes.items() if "." not in name}
