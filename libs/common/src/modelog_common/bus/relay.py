"""The relay: publishes one service's events from the event store to the topics of its tenants."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.bus.broker import Broker
from modelog_common.bus.envelope import LogEntry, source_of_service, to_entry
from modelog_common.bus.leases import RelayProgress
from modelog_common.bus.publisher import BATCH, LEASE_S, LogPublisher
from modelog_common.bus.topics import Family
from modelog_common.bus.tracing import trace_headers
from modelog_common.events.store import EventStore


class EventSource:
    """The events of some categories as a log: their positions rise, with gaps where other categories' events are."""

    def __init__(self, store: EventStore, categories: Sequence[str], name: str) -> None:
        self.name, self.history = name, store.history
        self._store, self._categories = store, tuple(categories)
        self._scanned = 0

    async def read(self, after: int, limit: int) -> Sequence[LogEntry]:
        until = await self._store.head()
        entries: list[LogEntry] = []
        async for event in self._store.read_all(after=after, categories=self._categories, until=until):
            entries.append(to_entry(event, trace_headers(event)))
            if len(entries) == limit:
                return entries
        self._scanned = until
        return entries

    async def wait(self, after: int, timeout_s: float) -> None:
        await self._store.wait_beyond(max(after, self._scanned), timeout_s)

    async def head(self) -> int:
        return await self._store.head()


class Relay(LogPublisher):
    """Publishes the events of `categories`, all of one service, in position order and at least once."""

    def __init__(
        self,
        store: EventStore,
        service: str,
        categories: Sequence[str],
        topics: Family,
        broker: Broker,
        progress: RelayProgress,
        *,
        batch: int = BATCH,
        lease_s: float = LEASE_S,
    ) -> None:
        source = EventSource(store, categories, source_of_service(service))
        super().__init__(source, topics, broker, progress, batch=batch, lease_s=lease_s)
