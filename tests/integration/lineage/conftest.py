"""Fixtures of the lineage tests, and the folder of their shared support on the path."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.stores.graph import Statement
from modelog_common.stores.graph.bolt import BoltGraph

sys.path.insert(0, str(Path(__file__).parent))

from lineage_support import PASSWORD, GraphServer, LineageProcess, Log, Place, tell_story


@pytest.fixture(scope="session")
def shared_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    server = GraphServer(tmp_path_factory.mktemp("lineage-graph"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def graph_uri(shared_graph: GraphServer) -> str:
    """A graph that is empty, on the server that the session shares."""
    graph = BoltGraph(shared_graph.uri, "root", PASSWORD)
    await graph.run_write([Statement("MATCH (n) DETACH DELETE n")])
    await graph.close()
    return shared_graph.uri


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
def place(tmp_path: Path, fresh_broker: object, graph_uri: str) -> Place:
    """A lineage service with a broker and a graph; `async with place.running()` starts it."""
    return Place(
        tmp_path,
        kafka_bootstrap=fresh_broker.bootstrap,  # type: ignore[attr-defined]
        graph_uri=graph_uri,
        graph_user="root",
        graph_password=PASSWORD,
    )


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
