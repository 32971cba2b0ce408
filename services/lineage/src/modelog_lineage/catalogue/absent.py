"""A search index where no events can be read from topics."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.errors import Unavailable
from modelog_common.stores.search import Document, Found, Query

WHY = "this service has no catalogue: set MODELOG_KAFKA_BOOTSTRAP, such as 127.0.0.1:9092"


class NoSearch:
    """A SearchStore that answers every question with what to set."""

    async def write(self, documents: Sequence[Document], mark: str) -> None:
        raise Unavailable(WHY)

    async def remove(self, tenant: str, ids: Sequence[str]) -> None:
        raise Unavailable(WHY)

    async def as_of(self, tenant: str, ids: Sequence[str], at: int) -> list[Document]:
        raise Unavailable(WHY)

    async def find(self, query: Query) -> Found:
        raise Unavailable(WHY)

    async def mark(self) -> str | None:
        raise Unavailable(WHY)

    async def drop(self) -> None:
        raise Unavailable(WHY)

    async def close(self) -> None:
        """Nothing to close."""
