"""Fixtures of the lineage tests; tests/servers puts Neo4j in the place of `empty_graph` and `fresh_graph`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from lineage_support import GraphServer, LineageProcess, Log, Place, RunningGraph, connected, graph_settings, tell_story
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.stores.graph import Statement


@pytest.fixture(scope="session")
def shared_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    server = GraphServer(tmp_path_factory.mktemp("lineage-graph"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def empty_graph(shared_graph: GraphServer) -> RunningGraph:
    """A graph that is empty, on the server that the session shares."""
    await make_empty(shared_graph)
    return shared_graph


async def make_empty(server: RunningGraph) -> None:
    graph = connected(server)
    await graph.run_write([Statement("MATCH (n) DETACH DELETE n")])
    await graph.close()


@pytest.fixture
def fresh_graph(tmp_path: Path) -> Iterator[GraphServer]:
    """A graph server of this test's own, running."""
    server = GraphServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    """The event store that the service reads too."""
    store = await SqliteEventStore.open(tmp_path / "events.db")
    yield Log(store)
    await store.close()


@pytest.fixture
async def story(log: Log) -> dict[str, int]:
    """The store holds the story; the positions of its turning points."""
    return await tell_story(log)


@pytest.fixture
def place(tmp_path: Path, fresh_broker: object, empty_graph: RunningGraph) -> Place:
    """A lineage service with a broker and a graph; `async with place.running()` starts it."""
    return Place(tmp_path, kafka_bootstrap=fresh_broker.bootstrap, **graph_settings(empty_graph))  # type: ignore[attr-defined]


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A lineage service with neither broker nor graph: the audit trail needs none."""
    return Place(tmp_path)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[LineageProcess]:
    """A lineage process without broker and graph, not started yet."""
    made = LineageProcess(tmp_path)
    yield made
    await made.close()
    made.kill()
