"""What every Graph promises: inherit the class and give it the fixture `graph`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from modelog_common.domain.errors import Conflict
from modelog_common.stores.graph import Graph, Statement

BATCH = 10_000


class GraphSuite(ABC):
    """The suite. Each test uses a label of its own, so a database may be shared."""

    @pytest.fixture
    @abstractmethod
    def graph(self) -> AsyncIterator[Graph]: ...

    @pytest.fixture
    def label(self) -> str:
        return "T" + uuid4().hex

    async def _count(self, graph: Graph, label: str) -> int:
        ((count,),) = [row.values() for row in await graph.run_read(f"MATCH (n:{label}) RETURN count(n) AS n")]
        return int(count)

    async def test_writes_are_read_back_with_their_parameters(self, graph: Graph, label: str) -> None:
        rows = [{"id": "a", "n": 1, "x": 0.5, "on": True}, {"id": "b", "n": None, "x": -1.0, "on": False}]
        created = Statement(
            f"UNWIND $rows AS row MERGE (n:{label} {{id: row.id}}) SET n.n = row.n, n.x = row.x, n.on = row.on "
            "RETURN n.id AS id",
            {"rows": rows},
        )
        assert await graph.run_write([created]) == [[{"id": "a"}, {"id": "b"}]]
        read = await graph.run_read(
            f"MATCH (n:{label}) WHERE n.id IN $ids RETURN n.id AS id, n.n AS n, n.x AS x, n.on AS on ORDER BY id",
            {"ids": ["a", "b", "c"]},
        )
        assert read == rows

    async def test_the_rows_of_each_statement_come_back_in_order(self, graph: Graph, label: str) -> None:
        answers = await graph.run_write(
            [
                Statement(f"CREATE (n:{label} {{id: 1}}) RETURN n.id AS id"),
                Statement(f"MATCH (n:{label}) WHERE n.id = 2 RETURN n.id AS id"),
                Statement(f"MATCH (n:{label}) RETURN count(n) AS count"),
            ]
        )
        assert answers == [[{"id": 1}], [], [{"count": 1}]]

    async def test_all_statements_or_none(self, graph: Graph, label: str) -> None:
        with pytest.raises(Exception, match=r"(?i)syntax|parse|mismatched|unknown|input"):
            await graph.run_write([Statement(f"CREATE (:{label})"), Statement("THIS IS NOT CYPHER")])
        assert await self._count(graph, label) == 0

    async def test_paths_are_found(self, graph: Graph, label: str) -> None:
        a, b, c = (f"(:{label} {{id: {n}}})" for n in (1, 2, 3))
        await graph.run_write([Statement(f"CREATE {a}-[:MADE {{since: 7}}]->{b}-[:MADE]->{c}")])
        found = await graph.run_read(
            f"MATCH (a:{label} {{id: 1}})-[:MADE*1..5]->(b:{label}) RETURN b.id AS id ORDER BY id"
        )
        assert [row["id"] for row in found] == [2, 3]

    async def test_constraints_may_be_made_twice_and_hold(self, graph: Graph, label: str) -> None:
        schema = (
            f"CREATE CONSTRAINT c{label} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE",
            f"CREATE INDEX i{label} IF NOT EXISTS FOR (n:{label}) ON (n.other)",
        )
        await graph.run_schema(schema)
        await graph.run_schema(schema)
        merge = Statement(f"MERGE (n:{label} {{id: 'one'}})")
        await graph.run_write([merge, merge])
        assert await self._count(graph, label) == 1

    async def test_a_second_node_with_a_unique_key_is_refused(self, graph: Graph, label: str) -> None:
        await graph.run_schema([f"CREATE CONSTRAINT c{label} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE"])
        await graph.run_write([Statement(f"CREATE (:{label} {{id: 'one'}})")])
        again = [Statement(f"CREATE (:{label} {{id: 'two'}})"), Statement(f"CREATE (:{label} {{id: 'one'}})")]
        with pytest.raises(Conflict, match=r"a constraint of the graph at .* is in the way"):
            await graph.run_write(again)
        assert await graph.run_read(f"MATCH (n:{label}) RETURN n.id AS id") == [{"id": "one"}]

    async def test_two_keys_together_are_unique(self, graph: Graph, label: str) -> None:
        await graph.run_schema([f"CREATE CONSTRAINT c{label} FOR (n:{label}) REQUIRE (n.id, n.valid_from) IS UNIQUE"])
        await graph.run_write([Statement(f"CREATE (:{label} {{id: 'a', valid_from: {n}}})") for n in (1, 2)])
        with pytest.raises(Conflict):
            await graph.run_write([Statement(f"CREATE (:{label} {{id: 'a', valid_from: 1}})")])
        assert await self._count(graph, label) == 2

    async def test_writers_that_merge_the_same_keys_all_succeed(self, graph: Graph, label: str) -> None:
        await graph.run_schema([f"CREATE CONSTRAINT c{label} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE"])

        async def write(writer: int) -> None:
            for n in range(5):
                rows: list[dict[str, Any]] = [{"id": f"{n}-{k}", "by": writer} for k in range(5)]
                merge = f"UNWIND $rows AS row MERGE (n:{label} {{id: row.id}}) SET n.by = row.by, n.times = "
                await graph.run_write([Statement(merge + "coalesce(n.times, 0) + 1", {"rows": rows})])

        await asyncio.gather(*(write(w) for w in range(6)))
        found = await graph.run_read(f"MATCH (n:{label}) RETURN n.id AS id, n.times AS times ORDER BY id")
        assert [row["id"] for row in found] == [f"{n}-{k}" for n in range(5) for k in range(5)]
        assert {row["times"] for row in found} == {6}

    async def test_writers_that_lock_each_other_out_all_succeed(self, graph: Graph, label: str) -> None:
        """Half of them take the keys in the other order, which deadlocks where rows are locked."""
        await graph.run_schema([f"CREATE CONSTRAINT c{label} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE"])
        await graph.run_write([Statement(f"CREATE (:{label} {{id: '{key}', times: 0}})") for key in "ab"])

        async def write(order: str) -> None:
            for _ in range(5):
                add = f"MATCH (n:{label} {{id: $key}}) SET n.times = n.times + 1"
                await graph.run_write([Statement(add, {"key": key}) for key in order])

        await asyncio.gather(*(write(order) for order in ("ab", "ba") * 3))
        found = await graph.run_read(f"MATCH (n:{label}) RETURN n.id AS id, n.times AS times ORDER BY id")
        assert found == [{"id": "a", "times": 30}, {"id": "b", "times": 30}]

    async def test_a_batch_of_ten_thousand_is_written_at_once(self, graph: Graph, label: str) -> None:
        await graph.run_schema([f"CREATE CONSTRAINT c{label} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE"])
        rows = [{"id": n, "next": (n + 1) % BATCH} for n in range(BATCH)]
        nodes = Statement(f"UNWIND $rows AS row MERGE (n:{label} {{id: row.id}})", {"rows": rows})
        edges = Statement(
            f"UNWIND $rows AS row MATCH (a:{label} {{id: row.id}}) MATCH (b:{label} {{id: row.next}}) "
            "MERGE (a)-[r:NEXT {valid_from: row.id}]->(b)",
            {"rows": rows},
        )
        for _ in range(2):
            await graph.run_write([nodes, edges])
        found = await graph.run_read(f"MATCH (a:{label})-[r:NEXT]->(:{label}) RETURN count(r) AS n, sum(a.id) AS s")
        assert found == [{"n": BATCH, "s": BATCH * (BATCH - 1) // 2}]

    async def test_links_are_found_as_of_a_position(self, graph: Graph, label: str) -> None:
        """A link that ended and began again stands there twice, each for its own span."""
        rows = [{"to": 1, "from": 3, "until": 7}, {"to": 2, "from": 7, "until": 9}, {"to": 1, "from": 9, "until": None}]
        await graph.run_write(
            [
                Statement(f"CREATE (:{label} {{id: 0, valid_from: 3}})"),
                Statement(f"CREATE (:{label} {{id: 1, valid_from: 1}})"),
                Statement(f"CREATE (:{label} {{id: 2, valid_from: 5}})"),
                Statement(
                    f"UNWIND $rows AS row MATCH (a:{label} {{id: 0}}) MATCH (b:{label} {{id: row.to}}) "
                    "MERGE (a)-[r:SERVES {valid_from: row.from}]->(b) SET r.valid_until = row.until",
                    {"rows": rows},
                ),
            ]
        )
        as_of = (
            f"MATCH (a:{label} {{id: 0}})-[r:SERVES]->(b:{label}) WHERE r.valid_from <= $at "
            "AND (r.valid_until IS NULL OR r.valid_until > $at) RETURN b.id AS id ORDER BY id"
        )
        seen = [[row["id"] for row in await graph.run_read(as_of, {"at": at})] for at in range(2, 11)]
        assert seen == [[], [1], [1], [1], [1], [2], [2], [1], [1]]
