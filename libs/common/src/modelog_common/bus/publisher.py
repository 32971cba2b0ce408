"""From a durable log to a topic: in order, at least once, and again from the start when the topic is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from modelog_common.bus.clients import DELIVERY_TIMEOUT_S, Admin, TopicState, new_producer
from modelog_common.bus.envelope import LogEntry, counted_headers
from modelog_common.bus.progress import Published, RelayProgress
from modelog_common.bus.topics import Topic
from modelog_common.domain.errors import Unavailable

BATCH = 500
CHECK_EVERY_S = 1.0
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
PARTITION = 0
log = structlog.get_logger()


class LogSource(Protocol):
    """A durable log whose entries have rising positions, from 1 or higher."""

    @property
    def name(self) -> str:
        """The log's name for good, which readers count by: no other log has it, and a restart keeps it."""
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
    """Publishes a log to one partition of a topic; `run` it as a task of its own.

    `state` is "starting", "publishing", "idle" or "waiting: <why>"; `position` is the last position that the broker has
    acknowledged in the present incarnation; `lag` is how far that is behind the log's head, as it was seen last.
    """

    def __init__(
        self, source: LogSource, topic: Topic, bootstrap: str, progress: RelayProgress, *, batch: int = BATCH
    ) -> None:
        self._source, self._topic, self._bootstrap, self._progress = source, topic, bootstrap, progress
        self._batch = batch
        self.state = "starting"
        self.position = 0
        self.lag = 0

    async def run(self) -> None:
        """Publish until cancelled. A broker that is away is waited for."""
        backoff_s = FIRST_BACKOFF_S
        admin = Admin(self._bootstrap)
        while True:
            before = self.position
            try:
                await self._publish(admin)
            except Unavailable as error:
                self._enter(f"waiting: {error}")
                backoff_s = FIRST_BACKOFF_S if self.position > before else backoff_s
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
            except _Renewed:
                log.warning("topic was made anew; publishing again from the start", topic=self._topic.name)

    async def _publish(self, admin: Admin) -> None:
        """Publish to the topic as it is now. Raises Unavailable, or _Renewed when it is another topic than at first."""
        topic = await admin.open(self._topic)
        saved = await self._progress.load(self._topic.name)
        self.position = saved.position if saved is not None and saved.incarnation == topic.incarnation else 0
        delivery = _Delivery(self._bootstrap, self._topic.name, self._source.name)
        now = asyncio.get_running_loop().time
        checked = now()
        try:
            while True:
                entries = await self._source.read(self.position, self._batch)
                if now() - checked > CHECK_EVERY_S:
                    await self._check(admin, topic)
                    checked = now()
                if not entries:
                    self.lag = 0
                    self._enter("idle")
                    await self._source.wait(self.position, CHECK_EVERY_S)
                    continue
                self.lag = await self._source.head() - self.position
                self._enter("publishing")
                await delivery.deliver(entries, self.position, lambda: self._check(admin, topic))
                self.position = entries[-1].position
                await self._progress.save(self._topic.name, Published(topic.incarnation, self.position))
        finally:
            await delivery.close()

    async def _check(self, admin: Admin, topic: TopicState) -> None:
        found = await admin.incarnation(self._topic.name)
        if found != topic.incarnation:
            raise _Renewed

    def _enter(self, state: str) -> None:
        if state == self.state:
            return
        waiting, waited = state.startswith("waiting"), self.state.startswith("waiting")
        if waiting and not waited:
            log.warning("not publishing", topic=self._topic.name, why=state.partition(": ")[2], position=self.position)
        elif waited and not waiting:
            log.info("publishing again", topic=self._topic.name, position=self.position)
        self.state = state


class _Renewed(Exception):
    """The topic is not the one that publishing began with."""


class _Delivery:
    """A producer and the thread that it blocks."""

    def __init__(self, bootstrap: str, topic: str, source: str) -> None:
        self._producer: Producer = new_producer(bootstrap)
        self._thread = ThreadPoolExecutor(1, "publisher")
        self._bootstrap, self._topic, self._source = bootstrap, topic, source
        self._failed: list[KafkaError] = []

    async def deliver(self, entries: Sequence[LogEntry], previous: int, check: Any) -> None:
        """Send the entries and wait for every acknowledgement, asking `check` now and then while it takes long.

        Raises Unavailable when some entry was not acknowledged; then some may have been, in any case in order.
        """
        await self._in_thread(self._send, entries, previous)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DELIVERY_TIMEOUT_S + 1
        while await self._in_thread(self._producer.flush, CHECK_EVERY_S / 2) > 0:
            if loop.time() > deadline:
                raise Unavailable(f"the broker at {self._bootstrap} does not acknowledge messages for {self._topic}")
            await check()
        if self._failed:
            raise Unavailable(f"the broker at {self._bootstrap} refused messages: {self._failed[0].str()}")

    def _send(self, entries: Sequence[LogEntry], previous: int) -> None:
        for entry in entries:
            headers: dict[str, str | bytes | None] = {
                **entry.headers,
                **counted_headers(self._source, entry.position, previous),
            }
            try:
                self._producer.produce(
                    self._topic, entry.value, entry.key, PARTITION, on_delivery=self._delivered, headers=headers
                )
            except (KafkaException, BufferError) as error:
                raise Unavailable(
                    f"{self._source} at position {entry.position} ({len(entry.value)} bytes) cannot be sent to "
                    f"{self._topic}: {error}"
                ) from error
            previous = entry.position

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failed.append(error)

    async def close(self) -> None:
        """Throw away what was not acknowledged, and end the thread."""
        await self._in_thread(self._drop)
        self._thread.shutdown(wait=False)

    def _drop(self) -> None:
        self._producer.purge()
        self._producer.close()

    async def _in_thread(self, work: Any, *arguments: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
