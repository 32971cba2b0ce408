"""grpcio, the reference, passes the suite of raw bytes; it names some errors otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from edge_servicer import Edge, grpcio
from raw_suite import RawEdgeSuite


class TestRawGrpcioEdge(RawEdgeSuite):
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        async with grpcio() as edge:
            yield edge
