"""Up to which position of the log the graph holds everything, although it is read from several topics.

A topic's own position says nothing about the others: position 12 is covered when every event up to 12 has been read
from the topic that it travels on, and which topic that is only the store can tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from modelog_common.bus.topics import Family, service_of
from modelog_common.events.store import EventStore, StoredEvent


class Coverage:
    """Compares what was read from the topics, each tenant's of each service, with what is in the store."""

    def __init__(self, store: EventStore, topics: Mapping[str, Family]) -> None:
        self.position = 0
        self._store, self._topics = store, topics
        self._read: dict[str, int] = {}
        self._moved = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._epoch = 0

    def restart(self, read: Mapping[str, int]) -> None:
        """Begin again: `read` is the highest position that was read from each topic."""
        self.position = 0
        self._read = dict(read)
        self._epoch += 1

    async def reached(self, topic: str, position: int) -> None:
        """A topic was read up to `position`."""
        self._read[topic] = max(position, self._read.get(topic, 0))
        await self.advance()

    async def advance(self) -> None:
        """Move on as far as what was read allows."""
        async with self._turn:
            epoch, position = self._epoch, self.position
            position = await self._reach(position)
            if epoch == self._epoch and position > self.position:
                self.position = position
                await self.wake()

    async def _reach(self, position: int) -> int:
        head = await self._store.head()
        async for event in self._store.read_all(after=position, until=head):
            if not self._is_read(event):
                return position
            position = event.position
        return head

    def _is_read(self, event: StoredEvent) -> bool:
        topics = self._topics.get(service_of(event.stream))
        return topics is None or event.position <= self._read.get(topics.of(event.tenant).name, 0)

    async def wait_for(self, position: int, timeout_s: float, trouble: Callable[[], str] = lambda: "") -> bool:
        """Wait until everything up to `position` is covered; False when it is not in time, or there is `trouble`.

        Whoever gets into trouble must `wake` those that wait.
        """
        await self.advance()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self.position >= position or trouble())
        return self.position >= position

    async def wake(self) -> None:
        """Have those that wait look again."""
        async with self._moved:
            self._moved.notify_all()
