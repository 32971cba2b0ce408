"""The event store in KurrentDB: the log is one stream there, appended at an expected revision.

See docs/decisions for what that costs. No KurrentDB server could be had: the adapter is tested against a stand-in that
speaks its protocol.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import kurrentdbclient as kurrent
from kurrentdbclient import exceptions

from modelog_common.domain.clock import Clock, SystemClock
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.checks import check_restored, check_restored_texts
from modelog_common.events.group import Answers, GroupCommit, Pending
from modelog_common.events.kurrent_log import (
    HISTORY_STREAM,
    STREAM,
    LogIndex,
    kurrent_id,
    kurrent_type,
    metadata_of,
    to_stored,
)
from modelog_common.events.store import (
    Appended,
    Expected,
    ExpectedVersion,
    NewEvent,
    Payloads,
    StoredEvent,
    payloads_of,
)

PAGE = 1000
POLL_S = 2.0
RECONNECT_S = 0.5
CALL_S = 30.0
T = TypeVar("T")


class KurrentEventStore:
    """An EventStore in the stream `modelog.events` of a KurrentDB."""

    # Empty until `open` has found it.
    history = ""

    def __init__(self, client: kurrent.AsyncKurrentDBClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._group = GroupCommit(self._commit)
        self._index = LogIndex()
        self._catching_up = asyncio.Lock()
        self._moved = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        # Whether an append may have happened that this process was not told of.
        self._unsure = False
        self._closed = False

    @classmethod
    async def open(cls, url: str, clock: Clock | None = None) -> KurrentEventStore:
        """Read the log once; raises Unavailable when the server does not answer or a newer release wrote to it."""
        try:
            client = kurrent.AsyncKurrentDBClient(url)
        except ValueError as error:
            raise Unavailable(f"this is no address of a KurrentDB: {error}") from error
        store = cls(client, clock or SystemClock())
        try:
            await store.head()
            store.history = await store._find_history()
        except BaseException:
            await client.close()
            raise
        return store

    async def _find_history(self) -> str:
        """The last event of a stream beside the log; of several processes that make its first one, one does."""
        with suppress(exceptions.WrongCurrentVersionError):
            await self._write_history(str(uuid7()), kurrent.StreamState.NO_STREAM)
        asked = self._client.get_stream(HISTORY_STREAM, backwards=True, limit=1, timeout=CALL_S)
        (found,) = await self._ask(asked)
        return found.data.decode()

    async def _write_history(self, history: str, state: kurrent.StreamState) -> None:
        made = kurrent.NewEvent("modelog.History", history.encode(), b"", "application/octet-stream")
        appended = self._client.append_to_stream(HISTORY_STREAM, events=[made], current_version=state, timeout=CALL_S)
        await self._ask(appended)

    async def renew(self) -> None:
        self.history = str(uuid7())
        await self._write_history(self.history, kurrent.StreamState.ANY)

    async def append(
        self, stream: str, events: Sequence[NewEvent], *, expected: ExpectedVersion = Expected.ANY
    ) -> Appended:
        return await self._group.append(stream, events, expected)

    async def _commit(self, batch: list[Pending]) -> Answers:
        """One append to the log; when another process was first, what came is read and the batch decided again."""
        try:
            answers = await self._decide_and_write(batch)
        except exceptions.MaximumAppendSizeExceededError as error:
            if len(batch) > 1:
                return [answer for item in batch for answer in await self._commit([item])]
            return [Invalid.field("events", f"are larger than this KurrentDB takes in one append: {error}")]
        except Unavailable as error:
            raise Unavailable(f"{error}. Whether the events were appended is not known: append them again") from error
        waiting = [n for n, answer in enumerate(answers) if answer is None]
        if waiting:
            for n, answer in zip(waiting, await self._commit([batch[n] for n in waiting]), strict=True):
                answers[n] = answer
        return answers

    async def _decide_and_write(self, batch: list[Pending]) -> list[Any]:
        known = self._unsure
        if known:
            await self._catch_up()
        while True:
            index = self._index
            at = max(self._clock.now(), index.last or self._clock.now())
            answers, new = index.decide(batch, at)
            if not known and len(new) != sum(len(item.events) for item in batch):
                # Nobody is refused by what this process happens to know.
                known = True
                await self._catch_up()
                continue
            if not new or await self._write(new):
                return answers
            known = True
            await self._catch_up()

    async def _write(self, events: Sequence[StoredEvent]) -> bool:
        """Append to the log where these events begin; False when the log does not end there."""
        first = events[0].position
        state = kurrent.StreamState.NO_STREAM if first == 1 else first - 2
        proposed = [
            kurrent.NewEvent(kurrent_type(e.type), e.payload, metadata_of(e), "application/octet-stream", kurrent_id(e))
            for e in events
        ]
        self._unsure = True
        try:
            await self._ask(
                self._client.append_to_stream(STREAM, events=proposed, current_version=state, timeout=CALL_S)
            )
        except exceptions.WrongCurrentVersionError:
            return False
        self._unsure = False
        self._take_in(events)
        return True

    async def restore(self, events: Sequence[StoredEvent]) -> None:
        check_restored_texts(events)
        await self._catch_up()
        index = self._index
        check_restored(events, index.head, index.last, {e.stream: index.version(e.stream) for e in events})
        if any(index.position_of(e.id) for e in events):
            raise Invalid.field("events", "an event with one of these ids is in the store already")
        if events and not await self._write(events):
            raise Invalid.field("events", "do not go on where the store ends: somebody else appends to it")

    async def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[StoredEvent]:
        await self._catch_up()
        for start, end in list(self._index.runs(stream, after, until)):
            async for found in self.read_all(after=start - 1, until=end):
                if found.stream == stream:
                    yield found

    def read_payloads(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[Payloads]:
        return payloads_of(self.read_stream(stream, after=after, until=until), PAGE)

    async def read_all(
        self, *, after: int = 0, categories: Sequence[str] | None = None, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        limit = until if until is not None else await self.head()
        while after < limit:
            page = await self._read(after, min(PAGE, limit - after))
            for found in page:
                if categories is None or found.category in categories:
                    yield found
            if not page:
                return
            after = page[-1].position

    async def subscribe(self, *, after: int = 0, categories: Sequence[str] | None = None) -> AsyncIterator[StoredEvent]:
        while True:
            head = await self.wait_beyond(after, timeout_s=60)
            async for found in self.read_all(after=after, categories=categories, until=head):
                yield found
            after = max(after, head)

    async def head(self) -> int:
        await self._catch_up()
        return self._index.head

    async def wait_beyond(self, position: int, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        if self._follower is None:
            self._follower = asyncio.get_running_loop().create_task(self._follow(), name="event store watch")
        while True:
            moved = self._moved
            head = await self.head()
            remaining = deadline - time.monotonic()
            if head > position or remaining <= 0:
                return head
            with suppress(TimeoutError):
                async with asyncio.timeout(min(remaining, POLL_S)):
                    await moved.wait()

    async def _follow(self) -> None:
        """Take in what others append as it comes; what a dead subscription missed, the poll of those who wait finds."""
        while not self._closed:
            try:
                position = self._index.head - 1 if self._index.head else None
                async with await self._client.subscribe_to_stream(STREAM, stream_position=position) as events:
                    async for recorded in events:
                        self._take_in([to_stored(recorded)])
            except (exceptions.KurrentDBClientError, Unavailable):
                await asyncio.sleep(RECONNECT_S)

    async def position_at(self, moment: datetime) -> int:
        await self._catch_up()
        return self._index.position_at(moment)

    async def find(self, event_id: str) -> StoredEvent | None:
        if self._index.position_of(event_id) is None:
            await self._catch_up()
        position = self._index.position_of(event_id)
        return (await self._read(position - 1, 1))[0] if position else None

    async def close(self) -> None:
        self._closed = True
        self._wake()
        await self._group.close()
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        await self._client.close()

    async def _catch_up(self) -> None:
        """Read what the log has beyond the index."""
        async with self._catching_up:
            while page := await self._read(self._index.head, PAGE):
                self._take_in(page)
                if len(page) < PAGE:
                    return

    def _take_in(self, events: Sequence[StoredEvent]) -> None:
        head = self._index.head
        for e in events:
            self._index.add(e)
        if self._index.head > head:
            self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _read(self, after: int, limit: int) -> list[StoredEvent]:
        if self._closed:
            raise Unavailable("the event store is closed")
        try:
            page = await self._ask(self._client.get_stream(STREAM, stream_position=after, limit=limit, timeout=CALL_S))
        except exceptions.NotFoundError:
            return []
        return [to_stored(recorded) for recorded in page]

    async def _ask(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except (
            exceptions.WrongCurrentVersionError,
            exceptions.MaximumAppendSizeExceededError,
            exceptions.NotFoundError,
        ):
            raise
        except exceptions.KurrentDBClientError as trouble:
            what = str(trouble) or type(trouble).__name__
            raise Unavailable(f"the KurrentDB at {self._client.connection_target} cannot be used: {what}") from trouble
