"""How the graph and the catalogue are kept up to date with the topics of all services, each in its own store.

How far each topic was read stands in the store, together with what was read, under the store's `generation`. A store
that lost it, or has another one, is another store: it is filled from the topics' start. So is one that was filled from
another history of the log: a generation begins with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
from modelog_common.bus.broker import Broker
from modelog_common.bus.deadletters import DeadLetters
from modelog_common.bus.progress import Progress
from modelog_common.bus.sifting import settled
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import EVENTS, Family
from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.rpc.call import patience_s

from modelog_lineage.covered import Coverage

WATCH_EVERY_S = 1.0
REBUILD_S = 300.0
log = structlog.get_logger()


@dataclass(frozen=True)
class Stand:
    """Which store it is, and how far each partition ("topic/0") was read into it."""

    generation: str
    progress: Mapping[str, Progress] = field(default_factory=dict)


class Sink(Protocol):
    """A store that events are written into. Its methods raise Unavailable while it is away."""

    async def open(self) -> Stand | None:
        """Where the store stands; None when it is new, or was written by another release."""
        ...

    async def begin(self, stand: Stand) -> None:
        """Make the store empty, and let it stand here."""
        ...

    async def generation(self) -> str | None:
        """Which store it is now."""
        ...

    async def write(self, events: Sequence[StoredEvent], stand: Stand) -> bool:
        """Write events of one topic, and where the store stands with them; twice is as good as once.

        False when the store is not of this generation: what was written then does not count.
        """
        ...

    async def close(self) -> None: ...


class Follower:
    """Fills a sink from `topics`. Run `run` as a task. `name` stands in messages: "graph".

    `position`: the store covers every event up to it. `error` is empty, or why the store is not kept up to date.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        broker: Broker | None,
        store: EventStore,
        dead: DeadLetters,
        topics: Mapping[str, Family] = EVENTS,
        *,
        watch_every_s: float = WATCH_EVERY_S,
    ) -> None:
        self._name, self._sink, self._broker, self._store, self._topics = name, sink, broker, store, topics
        self._dead = dead
        self._watch_every_s = watch_every_s
        self._coverage = Coverage(store, topics)
        self._stand = Stand("")
        self._trouble = ""
        self._consumer: Consumer | None = None
        self._again = asyncio.Event()
        self._dropped: asyncio.Future[None] | None = None

    @property
    def name(self) -> str:
        return f"lineage.{self._name}"

    @property
    def state(self) -> str:
        return self.error or (self._consumer.state if self._consumer is not None else "starting")

    def lags(self) -> Mapping[str, int]:
        """How many messages wait, by kind of topic."""
        return self._consumer.lags() if self._consumer is not None else {}

    @property
    def position(self) -> int:
        return self._coverage.position

    @property
    def error(self) -> str:
        if self._trouble:
            return self._trouble
        state = self._consumer.state if self._consumer is not None else ""
        return state if state.startswith(("waiting", "gap")) else ""

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                try:
                    await self._open()
                    self._trouble = ""
                    await self._read()
                except Unavailable as error:
                    await self._report(str(error))
                    await asyncio.sleep(self._watch_every_s)
                except Exception as error:
                    await self._report(f"{type(error).__name__}: {error}")
                    log.exception(f"the {self._name} cannot be filled")
                    await asyncio.sleep(self._watch_every_s)
        finally:
            await self._sink.close()

    async def _report(self, trouble: str) -> None:
        if trouble == self._trouble:
            return
        log.warning(f"the {self._name} is not kept up to date", why=trouble)
        self._trouble = trouble
        await self._coverage.wake()

    async def _open(self) -> None:
        """Find where the store stands; make it empty when it is not ours, or when it is to be filled again."""
        self._again.clear()
        dropped = self._dropped
        found = await self._sink.open()
        if dropped is None and found is not None and found.generation.startswith(f"{self._store.history}/"):
            self._stand = found
        else:
            self._stand = Stand(f"{self._store.history}/{uuid7()}")
            await self._sink.begin(self._stand)
        self._coverage.restart({p.topic: _highest(p) for p in self._stand.progress.values()})
        if dropped is not None:
            self._dropped = None
            dropped.set_result(None)

    async def _read(self) -> None:
        """Read the topics until the store has to be opened again."""
        if self._broker is None:
            raise Unavailable(f"nothing fills the {self._name}: there is no broker that brings events")
        self._consumer = Consumer(
            self._broker, list(self._topics.values()), self.name, self, self._dead, history=self._store.history
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._consumer.run(of_events(self._handle)), name=f"{self._name} consumer"),
                group.create_task(self._watch(), name=f"{self._name} watch"),
            ]
            await self._again.wait()
            for task in tasks:
                task.cancel()

    async def _watch(self) -> None:
        """Notice that the store is away, or that it is another one, also while nothing is written."""
        while True:
            try:
                if await self._sink.generation() != self._stand.generation:
                    self._open_again()
                self._trouble = ""
                await self._coverage.advance()
            except Unavailable as error:
                await self._report(str(error))
            await asyncio.sleep(self._watch_every_s)

    def _open_again(self) -> None:
        log.warning(f"the {self._name} is not the one that was written; it is looked at anew")
        self._again.set()

    async def load(self, topic: str, partition: int) -> Progress | None:
        """What was committed last for this partition (ConsumerProgress)."""
        return self._stand.progress.get(_key(topic, partition))

    async def _handle(self, events: Sequence[StoredEvent], progress: Progress) -> None:
        saved = {**self._stand.progress, _key(progress.topic, progress.partition): settled(progress)}
        stand = replace(self._stand, progress=saved)
        if not await self._sink.write(events, stand):
            self._open_again()
            raise Unavailable(f"the {self._name} is not the one that was written before; it is built again")
        self._stand, self._trouble = stand, ""
        await self._coverage.reached(progress.topic, _highest(progress))

    async def wait_for(self, position: int, timeout_s: float | None = None) -> None:
        """Wait until the store covers `position`, as long as the caller does unless `timeout_s` says how long.

        Raises Unavailable when it does not in time, or is not there.
        """
        timeout_s = patience_s() if timeout_s is None else timeout_s
        if not await self._coverage.wait_for(position, timeout_s, lambda: self._trouble):
            if self._trouble:
                raise Unavailable(f"the {self._name} is not up to date: {self._trouble}")
            raise Unavailable(
                f"the {self._name} is at position {self.position} and did not reach {position} in {timeout_s:g} s. "
                f"{self.error}".strip()
            )

    async def rebuild(self) -> int:
        """Drop the store and fill it again from the topics' start; returns the position reached."""
        head = await self._store.head()
        await self._sink.generation()
        if self._dropped is None:
            self._dropped = asyncio.get_running_loop().create_future()
        dropped = self._dropped
        self._again.set()
        try:
            async with asyncio.timeout(REBUILD_S):
                await asyncio.shield(dropped)
        except TimeoutError:
            raise Unavailable(
                f"the {self._name} could not be dropped in {REBUILD_S:g} s. {self.error}".strip()
            ) from None
        await self.wait_for(head, REBUILD_S)
        return self.position


def _key(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"


def _highest(progress: Progress) -> int:
    return max(progress.positions.values(), default=0)
