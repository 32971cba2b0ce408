"""Gives the lineage tests Neo4j instead of the embedded graph; everything else is as in tests/integration/lineage."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import Neo4jServer, started_again

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "lineage"))

from lineage_fixtures import bare, log, make_empty, place, process, story

__all__ = ["bare", "log", "place", "process", "story"]


class RestartedNeo4j:
    """The session's Neo4j, which a test may kill and start again, with its data or emptied."""

    def __init__(self, server: Neo4jServer) -> None:
        self._server = server
        self.uri, self.user, self.password = server.uri, server.user, server.password
        self.kill = server.kill

    def start(self, *, empty: bool = False) -> None:
        """Start it; without its data it is another folder's server at the same address."""
        if empty:
            shutil.rmtree(self._server.site.data)
        self._server.start()


@pytest.fixture
async def empty_graph(neo4j: Neo4jServer) -> Any:
    """Neo4j without a node."""
    await make_empty(neo4j)
    return neo4j


@pytest.fixture
async def fresh_graph(neo4j: Neo4jServer) -> AsyncIterator[RestartedNeo4j]:
    """The same, to be killed and started again."""
    await make_empty(neo4j)
    yield RestartedNeo4j(neo4j)
    started_again(neo4j)
