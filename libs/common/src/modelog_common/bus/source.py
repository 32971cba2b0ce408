"""From topics to a handler: in order, each message of a counted log once, and over again when a topic is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from modelog_common.bus.clients import Admin, TopicState
from modelog_common.bus.deadletters import DeadLetters
from modelog_common.bus.envelope import Poison, Received, to_event
from modelog_common.bus.progress import ConsumerProgress, Progress
from modelog_common.bus.reader import PartitionReader
from modelog_common.bus.topics import Topic
from modelog_common.bus.tracing import handling
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import StoredEvent

BATCH = 500
POLL_S = 0.25
CHECK_EVERY_S = 1.0
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
Handler = Callable[[Sequence[Received], Progress], Awaitable[None]]
EventHandler = Callable[[Sequence[StoredEvent], Progress], Awaitable[None]]
log = structlog.get_logger()


def of_events(handle: EventHandler) -> Handler:
    """A handler of messages from a handler of events; what is no event of ours becomes a dead letter."""

    async def handle_messages(batch: Sequence[Received], progress: Progress) -> None:
        events: list[StoredEvent] = []
        origin: dict[int, Received] = {}
        for message in batch:
            event = to_event(message)
            origin[event.position] = message
            events.append(event)
        try:
            await handle(events, progress)
        except PoisonEvent as poison:
            raise Poison(origin[poison.event.position], poison.reason) from poison

    return handle_messages


class PoisonEvent(Exception):
    """Raised by a handler of events for one that can never be handled."""

    def __init__(self, event: StoredEvent, reason: str) -> None:
        super().__init__(f"{event.type} at position {event.position}: {reason}")
        self.event = event
        self.reason = reason


class Consumer:
    """Reads topics and hands batches of one partition to a handler; `run` it as a task of its own.

    The handler gets the new messages, perhaps none, and the progress that they make. It must store both in one
    transaction. It may raise Poison for a message that can never be handled: that one goes to `<topic>.dead`, and the
    handler is called again with the others, so what it did must have been rolled back. Any other error is tried again,
    for ever.

    `name` tells consumers of the same topics apart. `state` is "starting", "reading", "gap: <where>" or
    "waiting: <why>".
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[Topic],
        name: str,
        progress: ConsumerProgress,
        *,
        batch: int = BATCH,
    ) -> None:
        self.name = name
        self.state = "starting"
        self._bootstrap, self._topics, self._progress, self._batch = bootstrap, topics, progress, batch
        self._at: dict[tuple[str, int], Progress] = {}
        self._moved = asyncio.Condition()

    def position(self, topic: str) -> int:
        """The highest position of this topic that was handled, over all its sources; 0 before the first."""
        return max((p for at in self._at.values() if at.topic == topic for p in at.positions.values()), default=0)

    async def wait_for(self, topic: str, position: int, timeout_s: float = 10) -> None:
        """Wait until `position` of this topic was handled; raises Unavailable when it is not in time."""
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self.position(topic) >= position)
        except TimeoutError:
            raise Unavailable(
                f"{self.name} is at position {self.position(topic)} of {topic} and did not reach {position} "
                f"in {timeout_s:g} s; it is {self.state}"
            ) from None

    async def run(self, handler: Handler) -> None:
        """Read until cancelled."""
        backoff_s = FIRST_BACKOFF_S
        admin = Admin(self._bootstrap)
        dead = DeadLetters(self._bootstrap, admin, self.name)
        try:
            while True:
                before = dict(self._at)
                try:
                    await self._read(admin, dead, handler)
                except _Renewed as topic:
                    log.warning("topic was made anew; reading it again from the start", topic=str(topic))
                    continue
                except Unavailable as error:
                    self._enter(f"waiting: {error}")
                except Exception as error:
                    # Whatever the handler's trouble is, the messages stay where they are and are tried again.
                    if self._enter(f"waiting: {type(error).__name__}: {error}"):
                        log.exception("messages could not be handled", consumer=self.name)
                backoff_s = FIRST_BACKOFF_S if self._at != before else backoff_s
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
        finally:
            await dead.close()

    async def _read(self, admin: Admin, dead: DeadLetters, handler: Handler) -> None:
        """Read the topics as they are now, until something fails or a topic is made anew."""
        topics = {t.name: await admin.open(t) for t in self._topics}
        self._at = {
            (name, n): start_of(name, n, topic.incarnation, await self._progress.load(name, n))
            for name, topic in topics.items()
            for n in topic.partitions
        }
        reader = PartitionReader(self._bootstrap, self.name, {key: at.offset for key, at in self._at.items()})
        now = asyncio.get_running_loop().time
        checked = 0.0
        try:
            while True:
                groups = await reader.next(self._batch, POLL_S)
                if groups or now() - checked > CHECK_EVERY_S:
                    # Asked after the fetch: while the id is the same, the messages came from this incarnation.
                    await self._check(admin, topics)
                    checked = now()
                    if not groups and not self.state.startswith("gap"):
                        self._enter("reading")
                for key, messages in groups.items():
                    self._at[key] = await self._handle(dead, handler, self._at[key], messages)
                if groups:
                    async with self._moved:
                        self._moved.notify_all()
        finally:
            await reader.close()

    async def _check(self, admin: Admin, topics: Mapping[str, TopicState]) -> None:
        found = await admin.describe_all(list(topics))
        for name, topic in topics.items():
            if found[name] != topic:
                raise _Renewed(name)

    async def _handle(
        self, dead: DeadLetters, handler: Handler, at: Progress, messages: Sequence[Received | Poison]
    ) -> Progress:
        readable: list[Received] = []
        for message in messages:
            if isinstance(message, Poison):
                await dead.bury(message)
            else:
                readable.append(message)
        offset = max(at.offset, last_offset(messages) + 1)
        fresh, positions, gaps = sift(readable, at.positions)
        if gaps:
            self._enter(f"gap: {gaps[0].topic} has {gaps[0].position} of {gaps[0].source} before {gaps[0].previous}")
        after = Progress(at.topic, at.partition, at.incarnation, offset, positions)
        while True:
            try:
                with handling(at.topic, self.name, fresh):
                    await handler(fresh, after)
            except Poison as poison:
                if not any(m is poison.message for m in fresh):
                    raise
                await dead.bury(poison)
                fresh = [m for m in fresh if m is not poison.message]
            else:
                if not gaps:
                    self._enter("reading")
                return after

    def _enter(self, state: str) -> bool:
        """Change the state; says whether it is another one."""
        if state == self.state:
            return False
        kind, was = state.partition(":")[0], self.state.partition(":")[0]
        self.state = state
        if kind == was:
            return True
        if kind in ("waiting", "gap"):
            log.warning("consumer is not getting on", consumer=self.name, state=state)
        elif was in ("waiting", "gap"):
            log.info("consumer is reading again", consumer=self.name)
        return True


class _Renewed(Exception):
    """A topic is not the one that reading began with."""


def start_of(topic: str, partition: int, incarnation: str, saved: Progress | None) -> Progress:
    """Where reading begins: at the saved offset when the topic is still the same, else at 0, knowing what was seen."""
    if saved is None:
        return Progress(topic, partition, incarnation)
    offset = saved.offset if saved.incarnation == incarnation else 0
    return Progress(topic, partition, incarnation, offset, saved.positions)


def last_offset(messages: Sequence[Received | Poison]) -> int:
    """The highest offset among messages of one partition."""
    return max(m.message.offset if isinstance(m, Poison) else m.offset for m in messages)


def sift(
    messages: Sequence[Received], seen: Mapping[str, int]
) -> tuple[list[Received], dict[str, int], list[Received]]:
    """Split messages into new ones, with the positions seen after them, and ones that came before their predecessor.

    Dropped are those whose source and position were seen. One that follows a message not yet seen is left out as well:
    it got into a renewed topic before its publisher noticed, and comes again in its place.
    """
    positions = dict(seen)
    fresh: list[Received] = []
    gaps: list[Received] = []
    for message in messages:
        if message.position == 0:
            fresh.append(message)
            continue
        high = positions.get(message.source, 0)
        if message.position <= high:
            continue
        if message.previous > high:
            gaps.append(message)
            continue
        positions[message.source] = message.position
        fresh.append(message)
    return fresh, positions, gaps
