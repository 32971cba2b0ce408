"""grpcio, the reference, passes the suite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from edge_servicer import Edge, grpcio
from edge_suite import GrpcEdgeSuite


class TestGrpcioEdge(GrpcEdgeSuite):
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        async with grpcio() as edge:
            yield edge
