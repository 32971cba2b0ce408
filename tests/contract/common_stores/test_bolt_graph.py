"""The Bolt adapter passes the graph's suite against ArcadeDB, and says it plainly when the database is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from graph_suite import GraphSuite
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.graph import Graph, Statement
from modelog_common.stores.graph.bolt import BoltGraph
from neo4j.exceptions import ClientError, Neo4jError, SessionExpired

Server = Any


class TestBoltGraph(GraphSuite):
    @pytest.fixture
    async def graph(self, graph_server: Server) -> AsyncIterator[Graph]:  # type: ignore[override]
        graph = BoltGraph(graph_server.uri, graph_server.user, graph_server.password)
        yield graph
        await graph.close()


async def test_a_wrong_password_is_said(graph_server: Server) -> None:
    graph = BoltGraph(graph_server.uri, graph_server.user, "wrong password")
    with pytest.raises(Unavailable, match=f"the graph at {graph_server.uri} does not answer: .*Authentication"):
        await graph.run_read("RETURN 1")
    await graph.close()


async def test_what_was_written_survives_kill_9_and_the_adapter_finds_the_database_again(
    fresh_graph_server: Server,
) -> None:
    graph = BoltGraph(fresh_graph_server.uri, fresh_graph_server.user, fresh_graph_server.password)
    await graph.run_write([Statement("CREATE (:Kept {id: 1})")])
    fresh_graph_server.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        await graph.run_write([Statement("CREATE (:Kept {id: 2})")])
    fresh_graph_server.start()
    assert await graph.run_read("MATCH (n:Kept) RETURN n.id AS id") == [{"id": 1}]
    await graph.close()


@pytest.mark.parametrize(
    "passing",
    [
        Neo4jError._hydrate_neo4j(code="Neo.ClientError.Cluster.NotALeader", message="no longer leader"),
        Neo4jError._hydrate_neo4j(code="Neo.TransientError.Transaction.DeadlockDetected", message="deadlock"),
        SessionExpired("the routing table is old"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_work_is_done_again_when_the_leader_changes_or_transactions_deadlock(passing: Exception) -> None:
    """Errors of a cluster, which cannot be had here: handed to the place that every call goes through."""
    graph = BoltGraph("bolt://127.0.0.1:1", "", "")
    raised = [passing, passing]

    async def work() -> str:
        if raised:
            raise raised.pop()
        return "done"

    assert await graph._retried(work) == "done"
    await graph.close()


async def test_a_database_that_does_not_exist_is_said(graph_server: Server) -> None:
    graph = BoltGraph(graph_server.uri, graph_server.user, graph_server.password, "nowhere")
    with pytest.raises(ClientError, match="nowhere"):
        await graph.run_read("RETURN 1")
    await graph.close()
