"""From a durable log to its tenants' topics: in order, at least once, and again when a topic is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from modelog_common.bus.broker import Broker, Outgoing, Sender
from modelog_common.bus.envelope import LogEntry, counted_headers
from modelog_common.bus.leases import Lease, LeaseLost, Published, Reached, RelayProgress, this_process
from modelog_common.bus.topics import Family, Topic
from modelog_common.domain.errors import Unavailable
from modelog_common.telemetry import metrics

BATCH = 2000
LEASE_S = 5.0
CHECK_EVERY_S = 1.0
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
log = structlog.get_logger()


class LogSource(Protocol):
    """A durable log whose entries have rising positions, from 1 or higher."""

    @property
    def name(self) -> str:
        """The log's name for good, which readers count by: no other log has it, and a restart keeps it."""
        ...

    @property
    def history(self) -> str:
        """Which log of that name it is: one that was restored is published from its start, whatever was before."""
        ...

    async def read(self, after: int, limit: int) -> Sequence[LogEntry]:
        """The next entries with positions above `after`, in order, `limit` at most; none when there is nothing new."""
        ...

    async def wait(self, after: int, timeout_s: float) -> None:
        """Return when there may be entries above `after`, and at the latest after `timeout_s`."""
        ...

    async def head(self) -> int:
        """The last position; 0 for an empty log."""
        ...


class LogPublisher:
    """Publishes a log, each tenant's entries to partition 0 of the tenant's topic; `run` it as a task of its own.

    Of several publishers of one log, the one that holds the lease works and the others stand by. `state` is "starting",
    "publishing", "idle", "standing by" or "waiting: <why>"; everything up to `position` is acknowledged by the broker;
    `lag` is how far that is behind the log's head, as it was seen last.
    """

    def __init__(
        self,
        source: LogSource,
        topics: Family,
        broker: Broker,
        progress: RelayProgress,
        *,
        batch: int = BATCH,
        lease_s: float = LEASE_S,
    ) -> None:
        self._source, self._topics, self._broker, self._progress = source, topics, broker, progress
        self._batch, self._lease_s = batch, lease_s
        # Progress and lease belong to this history of the log.
        self._log = f"{source.name}@{source.history}"
        self._owner = this_process()
        self.state = "starting"
        self.position = 0
        self.lag = 0

    @property
    def name(self) -> str:
        return "relay"

    def lags(self) -> Mapping[str, int]:
        """How far behind, by kind of topic."""
        return {self._topics.kind: self.lag}

    async def run(self) -> None:
        """Publish until cancelled. A broker that is away is waited for."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            before = self.position
            try:
                lease = await self._progress.acquire(self._log, self._owner, self._lease_s)
                if lease is None:
                    self._enter("standing by")
                    await asyncio.sleep(self._lease_s / 5)
                    continue
                await self._hold(lease)
            except LeaseLost as lost:
                log.warning("another publisher has taken over", log=self._source.name, why=str(lost))
            except Unavailable as error:
                self._enter(f"waiting: {error}")
                backoff_s = FIRST_BACKOFF_S if self.position > before else backoff_s
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _hold(self, lease: Lease) -> None:
        """Publish as long as the lease is held, and give it back."""
        try:
            while True:
                try:
                    await self._publish(_Turn(lease, self._broker, self._progress, self._lease_s))
                except _Renewed as topic:
                    log.warning("topic was made anew; publishing it again from the start", topic=str(topic))
        finally:
            # When it cannot be told, the lease ends by itself; an error here would take a cancellation's place.
            with suppress(Unavailable):
                await self._progress.release(lease)

    async def _publish(self, turn: _Turn) -> None:
        """Publish to the topics as they are now. Raises Unavailable, LeaseLost, or _Renewed when one was made anew."""
        lanes, self.position = await self._open_lanes(turn)
        sender = self._broker.sender()
        try:
            entries = await self._source.read(self.position, self._batch)
            while True:
                await turn.tend(lanes)
                if entries:
                    entries = await self._step(turn, sender, lanes, entries)
                    continue
                self._measure(0)
                self._enter("idle")
                await self._source.wait(self.position, CHECK_EVERY_S)
                entries = await self._source.read(self.position, self._batch)
        finally:
            await sender.close()

    async def _open_lanes(self, turn: _Turn) -> tuple[dict[str, _Lane], int]:
        """The topics that were published to before, and from where on to read the log.

        A topic that was made anew gets everything again, so reading begins at the start; the others' lanes leave out
        what they have.
        """
        saved = await self._progress.load(self._log)
        found = await self._broker.describe(list(saved.topics))
        lanes: dict[str, _Lane] = {}
        covered = saved.covered
        for name, published in saved.topics.items():
            tenant = self._topics.tenant_of(name)
            if tenant is None:
                continue
            state, topic = found[name], self._topics.of(tenant)
            if state is not None and state.incarnation == published.incarnation:
                lanes[tenant] = _Lane(topic, published.incarnation, published.position)
            else:
                lanes[tenant] = await self._open_lane(turn, tenant)
                covered = 0
        return lanes, covered

    async def _open_lane(self, turn: _Turn, tenant: str) -> _Lane:
        topic = self._topics.of(tenant)
        await turn.keep()
        return _Lane(topic, (await self._broker.open(topic)).incarnation, 0)

    async def _step(
        self, turn: _Turn, sender: Sender, lanes: dict[str, _Lane], entries: Sequence[LogEntry]
    ) -> Sequence[LogEntry]:
        """Publish these entries, and read the next ones meanwhile."""
        self._enter("publishing")
        until = entries[-1].position
        self._measure(max(0, await self._source.head() - self.position))
        messages, touched = await self._address(turn, lanes, entries)
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._source.read(until, self._batch))
                group.create_task(sender.send(messages, lambda: turn.tend(lanes)))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        self.position = until
        topics = {lane.topic.name: Published(lane.incarnation, lane.position) for lane in touched}
        await self._progress.save(turn.lease, Reached(until, topics))
        return following.result()

    async def _address(
        self, turn: _Turn, lanes: dict[str, _Lane], entries: Sequence[LogEntry]
    ) -> tuple[list[Outgoing], list[_Lane]]:
        """The messages of these entries, each to its tenant's topic, and the lanes that they move on."""
        messages: list[Outgoing] = []
        touched: dict[str, _Lane] = {}
        for entry in entries:
            lane = lanes.get(entry.tenant)
            if lane is None:
                lane = lanes[entry.tenant] = await self._open_lane(turn, entry.tenant)
            if entry.position <= lane.position:
                continue
            counted = counted_headers(
                self._source.name, entry.position, lane.position, turn.lease.token, self._source.history
            )
            messages.append(Outgoing(lane.topic.name, entry.key, entry.value, {**entry.headers, **counted}))
            lane.position = entry.position
            touched[entry.tenant] = lane
        return messages, list(touched.values())

    def _measure(self, lag: int) -> None:
        self.lag = lag
        metrics.relay_lag().set(lag, {metrics.ATTRIBUTE_LOG: self._source.name})

    def _enter(self, state: str) -> None:
        if state == self.state:
            return
        waiting, waited = state.startswith("waiting"), self.state.startswith("waiting")
        if waiting and not waited:
            log.warning("not publishing", log=self._source.name, why=state.partition(": ")[2], position=self.position)
        elif waited and not waiting:
            log.info("publishing again", log=self._source.name, position=self.position)
        self.state = state


class _Renewed(Exception):
    """A topic is not the one that publishing began with."""


@dataclass
class _Lane:
    """A tenant's topic, and the last position that was sent to it."""

    topic: Topic
    incarnation: str
    position: int


class _Turn:
    """One publisher's time with the lease: renews it, and looks whether topics were made anew."""

    def __init__(self, lease: Lease, broker: Broker, progress: RelayProgress, lease_s: float) -> None:
        self.lease = lease
        self._broker, self._progress, self._lease_s = broker, progress, lease_s
        self._now = asyncio.get_running_loop().time
        self._renewed = self._checked = self._now()

    async def keep(self) -> None:
        """Renew the lease when a third of it is over: always before sending after a pause. Raises LeaseLost."""
        if self._now() - self._renewed > self._lease_s / 3:
            renewed = self._now()
            await self._progress.renew(self.lease, self._lease_s)
            self._renewed = renewed

    async def tend(self, lanes: dict[str, _Lane]) -> None:
        """Keep the lease, and raise _Renewed when a topic was made anew."""
        await self.keep()
        if self._now() - self._checked > CHECK_EVERY_S:
            self._checked = self._now()
            found = await self._broker.describe([lane.topic.name for lane in lanes.values()])
            for lane in lanes.values():
                state = found[lane.topic.name]
                if state is None or state.incarnation != lane.incarnation:
                    raise _Renewed(lane.topic.name)
