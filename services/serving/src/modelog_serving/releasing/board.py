"""The last release of every deployment, folded from the event store and kept in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from modelog_common.events.store import EventStore

from modelog_serving.events import EVENTS
from modelog_serving.release.decide import RELEASES
from modelog_serving.release.state import Release


@dataclass(frozen=True)
class Owned:
    """A release with the tenant and the deployment it belongs to."""

    tenant: str
    deployment_id: str
    release: Release


class Board:
    """Follows this service's own events."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._owned: dict[str, Owned] = {}
        self._position = 0
        self._turn = asyncio.Lock()

    async def catch_up(self) -> None:
        """Take in everything that is in the store now."""
        async with self._turn:
            head = await self._store.head()
            async for stored in self._store.read_all(after=self._position, categories=[RELEASES.category], until=head):
                entity = stored.stream.partition("-")[2]
                before = self._owned[entity].release if entity in self._owned else RELEASES.initial()
                event = EVENTS.decode(stored.type, stored.schema, stored.payload)
                self._owned[entity] = Owned(stored.tenant, entity, RELEASES.evolve(before, event))
                self._position = stored.position
            self._position = max(head, self._position)

    def last(self) -> Sequence[Owned]:
        """The last release of each deployment that ever had one."""
        return list(self._owned.values())

    def of(self, deployment_id: str) -> Owned | None:
        """The last release of a deployment."""
        return self._owned.get(deployment_id)
