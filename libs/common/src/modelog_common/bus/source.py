"""From topics to a handler: in order, each message of a counted log once, and over again when a topic is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import msgspec
import structlog

from modelog_common.bus.broker import Broker, Reader, TopicState
from modelog_common.bus.deadletters import DeadLetter, DeadLetters, announce
from modelog_common.bus.envelope import Poison, Received, counted, to_event
from modelog_common.bus.progress import ConsumerProgress, Overtaken, Progress
from modelog_common.bus.sifting import after, last_offset, settled, sift, start_of
from modelog_common.bus.topics import Family, Topic
from modelog_common.bus.tracing import handling
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import StoredEvent
from modelog_common.telemetry import metrics

BATCH = 500
POLL_S = 0.25
CHECK_EVERY_S = 1.0
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
# Stands among a partition's positions, with a dead letter's id, while that is being replayed.
MARK = "dead:"
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

    Of a family it reads the topics of all tenants, also of those that come later; a topic that is named by itself is
    made when it is missing. The handler gets the new messages, perhaps none, and the progress that they make. It must
    store both in one transaction. It may raise Poison for a message that can never be handled: that one is kept as a
    dead letter, and the handler is called again with the others, so what it did must have been rolled back. Any other
    error is tried again, for ever. A dead letter that is to be replayed is handed in alone, with `replayed` set.

    With `history` it leaves out messages of a log that say another one: they were published before the log was
    restored, or by whoever has not noticed. What the handler has stored must be of that history as well.

    `name` tells consumers of the same topics apart. Instances with the same name and the same progress may run at
    once: of two that handled the same batch, one can store it. `state` is "starting", "reading", "gap: <where>" or
    "waiting: <why>"; `lag` is how many messages of each topic wait, as far as the broker tells.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Sequence[Topic | Family],
        name: str,
        progress: ConsumerProgress,
        dead: DeadLetters,
        *,
        history: str = "",
        batch: int = BATCH,
    ) -> None:
        self.name = name
        self.state = "starting"
        self.lag: dict[str, int] = {}
        self._broker, self._topics, self._progress, self._dead = broker, topics, progress, dead
        self._history, self._batch = history, batch
        self._at: dict[tuple[str, int], Progress] = {}
        self._moved = asyncio.Condition()

    def position(self, topic: str) -> int:
        """The highest position of this topic that was handled, over all its sources; 0 before the first."""
        return max((p for at in self._at.values() if at.topic == topic for p in at.positions.values()), default=0)

    def lags(self) -> Mapping[str, int]:
        """How many messages wait, by kind of topic: all tenants' together."""
        kinds = {t.kind: t.has for t in self._topics if isinstance(t, Family)}
        return {kind: sum(n for name, n in self.lag.items() if has(name)) for kind, has in kinds.items()}

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
        while True:
            before = dict(self._at)
            try:
                await self._read(handler)
            except _Renewed as why:
                log.info("reading begins again", consumer=self.name, why=str(why))
                continue
            except (Unavailable, Overtaken) as error:
                self._enter(f"waiting: {error}")
            except Exception as error:
                # Whatever the handler's trouble is, the messages stay where they are and are tried again.
                if self._enter(f"waiting: {type(error).__name__}: {error}"):
                    log.exception("messages could not be handled", consumer=self.name)
            backoff_s = FIRST_BACKOFF_S if self._at != before else backoff_s
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _read(self, handler: Handler) -> None:
        """Read the topics as they are now, until something fails or they change."""
        topics = await self._open()
        self._at = {
            (name, n): start_of(name, n, topic.incarnation, await self._progress.load(name, n))
            for name, topic in topics.items()
            for n in topic.partitions
        }
        await self._tell()
        reader = self._broker.reader(self.name, {key: at.offset for key, at in self._at.items()})
        now = asyncio.get_running_loop().time
        checked = 0.0
        try:
            while True:
                groups = await reader.next(self._batch, POLL_S)
                if groups:
                    # Asked after the fetch: while the id is the same, the messages came from this incarnation.
                    await self._check({topic: topics[topic] for topic, _ in groups})
                for key, messages in groups.items():
                    self._at[key] = await self._handle(handler, self._at[key], messages)
                if groups:
                    await self._tell()
                if now() - checked > CHECK_EVERY_S:
                    await self._tend(handler, reader, topics)
                    checked = now()
                if not groups and not self.state.startswith("gap"):
                    self._enter("reading")
        finally:
            await reader.close()

    async def _tell(self) -> None:
        """Let those look who wait for a position."""
        async with self._moved:
            self._moved.notify_all()

    async def _open(self) -> dict[str, TopicState]:
        opened = {t.name: await self._broker.open(t) for t in self._topics if isinstance(t, Topic)}
        found = await self._broker.describe(await self._members())
        return opened | {name: state for name, state in found.items() if state is not None}

    async def _members(self) -> list[str]:
        """The topics of the families that exist now."""
        families = [t for t in self._topics if isinstance(t, Family)]
        if not families:
            return []
        return [name for name in await self._broker.topics() if any(f.has(name) for f in families)]

    async def _check(self, topics: Mapping[str, TopicState]) -> None:
        found = await self._broker.describe(list(topics))
        for name, topic in topics.items():
            if found[name] != topic:
                raise _Renewed(f"{name} was made anew")

    async def _tend(self, handler: Handler, reader: Reader, topics: Mapping[str, TopicState]) -> None:
        """What is done now and then: look for other topics, and for dead letters to replay."""
        await self._check(topics)
        new = [name for name in await self._members() if name not in topics]
        if new:
            raise _Renewed(f"{new[0]} is new")
        self.lag = dict.fromkeys(topics, 0)
        for (topic, _), behind in (await reader.behind()).items():
            self.lag[topic] += behind
        for topic, behind in self.lag.items():
            attributes = {metrics.ATTRIBUTE_TOPIC: topic, metrics.ATTRIBUTE_CONSUMER: self.name}
            metrics.consumer_lag().set(behind, attributes)
        for letter in await self._to_replay():
            await self._replay(handler, letter)

    async def _to_replay(self) -> Sequence[DeadLetter]:
        try:
            return await self._dead.asked(self.name)
        except Unavailable:
            # Replays wait until their database is back; what comes from the topics does not need it.
            return ()

    async def _handle(self, handler: Handler, at: Progress, messages: Sequence[Received | Poison]) -> Progress:
        readable: list[Received] = []
        for message in messages:
            if isinstance(message, Poison):
                await self._bury(at, message)
            elif self._is_of_now(message):
                readable.append(message)
        offset = max(at.offset, last_offset(messages) + 1)
        fresh, positions, gaps = sift(readable, at.positions)
        if gaps:
            self._enter(f"gap: {gaps[0].topic} has {gaps[0].position} of {gaps[0].source} before {gaps[0].previous}")
        done = after(at, offset, positions)
        while True:
            try:
                with handling(at.topic, self.name, fresh):
                    await handler(fresh, done)
            except Poison as poison:
                if not any(m is poison.message for m in fresh):
                    raise
                await self._bury(at, poison)
                fresh = [m for m in fresh if m is not poison.message]
            else:
                if not gaps:
                    self._enter("reading")
                return settled(done)

    def _is_of_now(self, message: Received) -> bool:
        return not self._history or message.history in ("", self._history)

    async def _bury(self, at: Progress, poison: Poison) -> None:
        letter = await self._dead.keep(self.name, at.incarnation, poison)
        await announce(self._broker, letter)

    async def _replay(self, handler: Handler, letter: DeadLetter) -> None:
        """Hand a dead letter in again, once: that it was handled is stored together with what the handler stores."""
        key = (letter.message.topic, letter.message.partition)
        at = self._at.get(key) or start_of(*key, "", await self._progress.load(*key))
        mark = f"{MARK}{letter.id}"
        if mark not in at.positions:
            message = counted(letter.message)
            try:
                if isinstance(message, Poison):
                    raise message
                if not self._is_of_now(message):
                    raise Poison(message, "it is from before the log was restored; the log of now has its own events")
                message = msgspec.structs.replace(message, replayed=True)
                done = after(at, at.offset, {**at.positions, mark: 0})
                with handling(at.topic, self.name, [message]):
                    await handler([message], done)
                at = settled(done)
            except Poison as poison:
                again = Poison(letter.message, poison.reason)
                await announce(self._broker, await self._dead.keep(self.name, letter.incarnation, again))
                return
        await self._dead.handled(letter.id)
        # The mark has done its work; the next batch stores the positions without it.
        at = replace(at, positions={source: p for source, p in at.positions.items() if source != mark})
        if key in self._at:
            self._at[key] = at

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
    """The topics are not those that reading began with."""
