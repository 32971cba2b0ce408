"""A graph where none was configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelog_common.domain.errors import Unavailable
from modelog_common.stores.graph import Row, Statement

WHY = "this service has no graph: set MODELOG_GRAPH_URI, such as bolt://127.0.0.1:7687, and MODELOG_KAFKA_BOOTSTRAP"


class NoGraph:
    """A Graph that answers every question with what to set."""

    async def run_write(self, statements: Sequence[Statement]) -> list[list[Row]]:
        raise Unavailable(WHY)

    async def run_read(self, cypher: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        raise Unavailable(WHY)

    async def run_schema(self, statements: Sequence[str]) -> None:
        raise Unavailable(WHY)

    async def close(self) -> None:
        """Nothing to close."""
