"""Our own edge passes the suite, on asyncio's loop and on uvloop's, which the services run on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from edge_servicer import Edge, own
from edge_suite import GrpcEdgeSuite


class TestOwnEdge(GrpcEdgeSuite):
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        async with own() as edge:
            yield edge
