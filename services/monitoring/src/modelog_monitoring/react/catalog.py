"""What this service knows of its own monitors, policies, retrainings and A/B tests, folded from events in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import EventStore, StoredEvent

from modelog_monitoring.abtest.decide import AB_TEST
from modelog_monitoring.abtest.state import AbTest
from modelog_monitoring.events import EVENTS
from modelog_monitoring.monitor.decide import MONITOR
from modelog_monitoring.monitor.state import Monitor
from modelog_monitoring.policy.decide import POLICY
from modelog_monitoring.policy.state import Policy
from modelog_monitoring.retraining.decide import RETRAINING
from modelog_monitoring.retraining.state import Retraining

State = TypeVar("State")
WAIT_S = 30.0
RETRY_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True)
class Owned(Generic[State]):
    """An entity with the tenant it belongs to, and the position of its last event."""

    tenant: str
    id: str
    state: State
    position: int


@dataclass
class _Kind(Generic[State]):
    decider: Decider[State, Any, Any]
    owned: dict[str, Owned[State]] = field(default_factory=dict)

    def fold(self, stored: StoredEvent) -> None:
        entity_id = stored.stream.partition("-")[2]
        before = self.owned.get(entity_id)
        state = self.decider.initial() if before is None else before.state
        event = EVENTS.decode(stored.type, stored.schema, stored.payload)
        self.owned[entity_id] = Owned(stored.tenant, entity_id, self.decider.evolve(state, event), stored.position)


class Catalog:
    """Follows the event store."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._position = 0
        self._turn = asyncio.Lock()
        self._monitors, self._policies, self._retrainings = _Kind(MONITOR), _Kind(POLICY), _Kind(RETRAINING)
        self._ab_tests = _Kind(AB_TEST)
        self._kinds: dict[str, _Kind[Any]] = {
            kind.decider.category: kind for kind in (self._monitors, self._policies, self._retrainings, self._ab_tests)
        }
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change."""
        self._listeners.append(listener)

    @property
    def position(self) -> int:
        """Everything up to this position is folded."""
        return self._position

    @property
    def monitors(self) -> Iterable[Owned[Monitor]]:
        return list(self._monitors.owned.values())

    def monitors_of(self, tenant: str, deployment: str) -> list[Owned[Monitor]]:
        """The monitors of a deployment: more than one may watch it."""
        return [m for m in self.monitors if m.tenant == tenant and m.state.definition.deployment == deployment]

    @property
    def policies(self) -> Iterable[Owned[Policy]]:
        return list(self._policies.owned.values())

    @property
    def retrainings(self) -> Iterable[Owned[Retraining]]:
        return list(self._retrainings.owned.values())

    @property
    def ab_tests(self) -> Iterable[Owned[AbTest]]:
        return list(self._ab_tests.owned.values())

    def monitor(self, monitor_id: str) -> Monitor:
        """The monitor with this id, without a definition when there is none."""
        found = self._monitors.owned.get(monitor_id)
        return Monitor() if found is None else found.state

    def retraining(self, retraining_id: str) -> Owned[Retraining] | None:
        """The retraining with this id, None when it has not started."""
        return self._retrainings.owned.get(retraining_id)

    async def refresh(self) -> None:
        """Fold everything that is in the store now, and tell the listeners when something was new."""
        async with self._turn:
            head = await self._store.head()
            new = False
            async for stored in self._store.read_all(after=self._position, categories=list(self._kinds), until=head):
                self._kinds[stored.category].fold(stored)
                new, self._position = True, stored.position
            self._position = max(self._position, head)
        if new:
            for listener in self._listeners:
                listener()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.refresh()
                await self._store.wait_beyond(self._position, WAIT_S)
            except Unavailable as error:
                log.warning("own events cannot be read now", position=self._position, error=str(error))
                await asyncio.sleep(RETRY_S)
