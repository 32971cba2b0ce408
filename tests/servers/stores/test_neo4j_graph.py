"""The Bolt adapter passes the graph's suite against Neo4j, whose database has another name than the embedded one's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from graph_suite import GraphSuite
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.graph import Graph, Statement
from modelog_common.stores.graph.bolt import BoltGraph


class TestNeo4jGraph(GraphSuite):
    @pytest.fixture
    async def graph(self, neo4j: Any) -> AsyncIterator[Graph]:  # type: ignore[override]
        graph = BoltGraph(neo4j.uri, neo4j.user, neo4j.password)
        yield graph
        await graph.close()


async def test_neo4j_is_found_again_after_a_restart_and_after_kill_9(neo4j: Any) -> None:
    graph = BoltGraph(neo4j.uri, neo4j.user, neo4j.password, "neo4j")
    await graph.run_schema(["CREATE CONSTRAINT kept IF NOT EXISTS FOR (n:Kept) REQUIRE n.id IS UNIQUE"])
    await graph.run_write([Statement("MERGE (:Kept {id: 1})")])
    # By key, as lineage reads: a scan of the label was once seen to name a node without properties after such an end.
    by_key = "UNWIND [1, 2] AS id MATCH (n:Kept {id: id}) RETURN n.id AS id"
    for take_away in (neo4j.stop, neo4j.kill):
        take_away()
        with pytest.raises(Unavailable, match=f"the graph at {neo4j.uri} does not answer"):
            await graph.run_write([Statement("MERGE (:Kept {id: 2})")])
        neo4j.start()
        assert await graph.run_read(by_key) == [{"id": 1}]
    await graph.run_write([Statement("MATCH (n:Kept) DELETE n")])
    await graph.close()
