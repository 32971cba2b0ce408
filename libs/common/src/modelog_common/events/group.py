"""Group commit: appends that arrive while a commit is under way share the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from modelog_common.domain.errors import ModelogError, Unavailable
from modelog_common.events.checks import check_append
from modelog_common.events.store import Appended, ExpectedVersion, NewEvent

MAX_BATCH_EVENTS = 4000
MAX_BATCH_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Pending:
    """An append that waits for its answer."""

    stream: str
    events: Sequence[NewEvent]
    expected: ExpectedVersion
    answer: asyncio.Future[Appended]


Answers = list[Appended | ModelogError]


class GroupCommit:
    """Hands everything that waits to `commit` as one transaction, which answers each append by itself.

    A batch is cut once a turn of the event loop while no commit is under way, so that whoever was woken by the last
    commit can take part in the next.
    """

    def __init__(self, commit: Callable[[list[Pending]], Awaitable[Answers]]) -> None:
        self._commit = commit
        self._pending: list[Pending] = []
        self._committing: asyncio.Future[Answers] | None = None
        self._cut_soon = False
        self._closed = False

    async def append(self, stream: str, events: Sequence[NewEvent], expected: ExpectedVersion) -> Appended:
        """Wait for the commit that holds these events."""
        check_append(stream, events)
        if self._closed:
            raise Unavailable("the event store is closed")
        loop = asyncio.get_running_loop()
        item = Pending(stream, events, expected, loop.create_future())
        self._pending.append(item)
        if self._committing is None and not self._cut_soon:
            self._cut_soon = True
            loop.call_soon(self._cut)
        return await item.answer

    def _cut(self) -> None:
        self._cut_soon = False
        batch = self._take()
        if batch:
            self._committing = asyncio.ensure_future(self._commit(batch))
            self._committing.add_done_callback(lambda done: self._answer(batch, done))

    def _take(self) -> list[Pending]:
        events = size_bytes = 0
        for n, item in enumerate(self._pending):
            events += len(item.events)
            size_bytes += sum(len(e.payload) for e in item.events)
            if n and (events > MAX_BATCH_EVENTS or size_bytes > MAX_BATCH_BYTES):
                batch, self._pending = self._pending[:n], self._pending[n:]
                return batch
        batch, self._pending = self._pending, []
        return batch

    def _answer(self, batch: list[Pending], done: asyncio.Future[Answers]) -> None:
        self._committing = None
        failed = Unavailable("the event store was stopped") if done.cancelled() else done.exception()
        answers = [failed] * len(batch) if failed is not None else done.result()
        for item, answer in zip(batch, answers, strict=True):
            if item.answer.done():
                continue
            if isinstance(answer, BaseException):
                item.answer.set_exception(answer)
            else:
                item.answer.set_result(answer)
        self._cut()

    async def close(self) -> None:
        """Wait for the commit that is under way; what still waits fails."""
        self._closed = True
        waiting, self._pending = self._pending, []
        for item in waiting:
            if not item.answer.done():
                item.answer.set_exception(Unavailable("the event store is closed"))
        if self._committing is not None:
            await asyncio.wait([self._committing])
