"""The prediction log: answers are stored before they are given, and soon after they are where readers find them.

Answers to requests without ids of their own go into the journal (`journal`), in the loop's own thread, which takes some
microseconds; a little later all that came meanwhile goes into the file, in one transaction of the writer's thread.
Those to requests with ids must be looked for first: they go into the file at once, and those that come while a commit
is under way share the next one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

import structlog
from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import ModelogError, Overloaded, Unavailable

from modelog_serving.predlog import file, index
from modelog_serving.predlog.answers import Answers, Recorded
from modelog_serving.predlog.bodies import Connection, Gone
from modelog_serving.predlog.journal import Journal, Journaled, Pending, fits
from modelog_serving.predlog.recovery import recovered
from modelog_serving.predlog.waiting import Append, Done, Waiting
from modelog_serving.predlog.writer import Outcome, StreamCommit, Writer, micros

# The journal is put into the file so long after something came into it, or when it has so much; when it has
# much more, or the file would not take it, answers wait for the file.
GATHER_S = 0.05
GATHER_BYTES, MOST_JOURNAL_BYTES = 1 << 20, 8 << 20
# In the file, with its index, answers take at most so many times their bytes in the journal, and some pages that are
# begun.
GROWTH = 4
BEGUN_PAGES = 8
AGAIN_S = 1.0
# A commit that takes longer tells of a disk that hangs: the loop stays away from it.
PATIENCE_S = 0.5
T = TypeVar("T")
log = structlog.get_logger()


class PredictionLog:
    """The log in the file `path` and the journal beside it; one writer thread, one reader thread."""

    def __init__(self, path: Path, clock: Clock, most_bytes: int = 0) -> None:
        self.path, self._clock = path, clock
        self._in_file = Writer(path, clock, most_bytes)
        self._read = file.connect(path)
        self._begun_bytes = BEGUN_PAGES * file.page_bytes(self._read)
        lost = self._in_file.mend()
        if lost:
            log.error("batches of the prediction log are lost: their bodies are gone", path=str(path), batches=lost)
        self._journal = self._open_journal()
        self.log_id = self._in_file.log_id
        self._sequence = self._in_file.sequence
        self._reached = self._in_file.reached()
        self._writer = ThreadPoolExecutor(1, "prediction-writer")
        self._reader = ThreadPoolExecutor(1, "prediction-reader")
        self._waiting = Waiting()
        self._pending = Pending(self._journal)
        # The last number of the journal that is in the file.
        self._in_file_until = self._journal.number
        self._refused = False
        self._writing, self._began_s = False, 0.0
        self._gather: asyncio.Handle | None = None
        self._committed = asyncio.Event()

    @classmethod
    async def open(cls, path: Path, clock: Clock, most_bytes: int = 0) -> Self:
        """Open or make the log; it takes up to `most_bytes`, 0 for as much as the disk has.

        Raises Unavailable when the file or its journal cannot be used.
        """
        return await asyncio.to_thread(cls, path, clock, most_bytes)

    def _open_journal(self) -> Journal:
        return recovered(self.path, self._in_file)

    @property
    def sequence(self) -> int:
        """The place of the last batch that is in the file; 0 when there is none."""
        return self._sequence

    async def look(self) -> None:
        """See what other processes wrote, where another one writes this log."""

    def elsewhere(self, known: Callable[[Answers], Outcome | ModelogError]) -> None:
        """Ask `known`, in the writer's thread, for ids that this log does not have."""
        self._in_file.elsewhere = known

    def reached(self, producer: str) -> int:
        """The last sequence of a producer (a `sender_of`) that was handled, durably; 0 when none was."""
        return self._reached.get(producer, 0)

    async def append(self, answers: Answers) -> Outcome:
        """Store the answers to one request; when this returns they survive `kill -9`.

        Returns None; or, when the caller's ids were answered before with the same features, what was answered then:
        nothing is stored and that must be the answer. Raises AlreadyExists when they were answered with other
        features, Unavailable when nothing can be stored, and Overloaded when too much waits to be stored.
        """
        stored: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome | BaseException) -> None:
            if stored.done():
                return
            if isinstance(outcome, BaseException):
                stored.set_exception(outcome)
            else:
                stored.set_result(outcome)

        self.put(answers, done)
        return await stored

    def put(self, answers: Answers, done: Done) -> None:
        """As `append`, for who awaits nothing: `done` is told, now or later, what it would have returned or raised."""
        if fits(answers) and self._to_journal(answers):
            done(None)
            return
        if not self._waiting.take(answers, done):
            done(Overloaded("too many predictions wait to be written to the prediction log; try again later"))
            return
        if not self._writing:
            self._writing = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._cut, loop)

    async def append_stream(self, commit: StreamCommit) -> None:
        """Store answered request batches with how far their producers and the consumer have come, in one transaction.

        Raises Unavailable when nothing can be stored.
        """
        loop = asyncio.get_running_loop()
        self._sequence = await loop.run_in_executor(self._writer, self._commit_stream, commit)
        self._reached.update(commit.reached)
        self._wake()

    def _to_journal(self, answers: Answers) -> bool:
        """Write it to the journal, if what is there finds its way into the file."""
        pending = self._pending
        room = min(MOST_JOURNAL_BYTES, (self._in_file.room_bytes - self._begun_bytes) // GROWTH)
        if self._refused or pending.bytes >= room or (self._writing and self._hangs()):
            return False
        try:
            pending.take(answers, micros(self._clock.now()))
        except OSError as error:
            log.warning("the journal of the prediction log was not written", path=str(self.path), error=str(error))
            return False
        if not self._writing and (self._gather is None or pending.bytes > GATHER_BYTES):
            self._gather_in(0 if pending.bytes > GATHER_BYTES else GATHER_S)
        return True

    def _hangs(self) -> bool:
        return asyncio.get_running_loop().time() - self._began_s > PATIENCE_S

    def _gather_in(self, delay_s: float) -> None:
        if self._gather is not None:
            self._gather.cancel()
        loop = asyncio.get_running_loop()
        self._gather = loop.call_later(delay_s, self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._gather = None
        if not self._writing:
            self._writing = True
            self._cut(loop)

    def _cut(self, loop: asyncio.AbstractEventLoop) -> None:
        """Put what waits, and what is in the journal, into the file."""
        batch = self._waiting.cut()
        journaled, size = self._pending.cut()
        if not (batch or journaled):
            self._writing = False
            return
        self._began_s = loop.time()
        written = loop.run_in_executor(self._writer, self._commit, journaled, [item.answers for item in batch])
        written.add_done_callback(lambda done: self._answer(loop, batch, journaled, size, done))

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[Append],
        journaled: list[Journaled],
        journal_bytes: int,
        done: asyncio.Future[tuple[int, list[Outcome | ModelogError]]],
    ) -> None:
        failed = done.exception()
        outcomes: Sequence[Outcome | BaseException]
        if failed is None:
            self._sequence, outcomes = done.result()
            self._refused = False
            if journaled:
                self._in_file_until = journaled[-1].number
        else:
            outcomes = [failed] * len(batch)
            # It is in the journal still, and is tried again with all that comes next.
            self._pending.put_back(journaled, journal_bytes)
            self._refused = True
        self._writing = False
        self._waiting.tell(batch, outcomes)
        self._wake()
        if self._waiting and not self._writing:
            self._writing = True
            self._cut(loop)
        elif self._pending.frames and not self._writing and self._gather is None:
            self._gather_in(GATHER_S if failed is None else AGAIN_S)

    def _wake(self) -> None:
        self._committed.set()
        self._committed = asyncio.Event()

    def _commit(self, journaled: list[Journaled], requests: list[Answers]) -> tuple[int, list[Outcome | ModelogError]]:
        outcomes = self._in_file.commit(journaled, requests)
        if journaled:
            self._journal.drop(journaled[-1].number)
        return self._in_file.sequence, outcomes

    def _commit_stream(self, commit: StreamCommit) -> int:
        self._in_file.commit_stream(commit)
        return self._in_file.sequence

    async def flush(self) -> None:
        """Put what was stored until now into the file; where that is refused, it stays in the journal."""
        until, loop = self._journal.number, asyncio.get_running_loop()
        while self._in_file_until < until:
            committed = self._committed
            self._begin(loop)
            await committed.wait()
            if self._refused:
                return

    async def find(self, tenant: str, deployment: str, prediction_id: str) -> Recorded | None:
        """One answer by its id."""
        return await self.reading(lambda db: index.find(db, tenant, deployment, prediction_id))

    async def reading(self, work: Callable[[Connection], T], *, whole: bool = True) -> T:
        """Look at the file in the reader's thread; raises Unavailable when it cannot be read.

        If it is to be `whole`, everything that was stored until now is in there.
        """
        if whole:
            await self.flush()
        loop = asyncio.get_running_loop()
        try:
            try:
                return await loop.run_in_executor(self._reader, work, self._read)
            except Gone:
                # It was dropped between its row and its body: now there is no row either.
                return await loop.run_in_executor(self._reader, work, self._read)
        except sqlite3.Error as error:
            raise Unavailable(f"the prediction log {self.path} cannot be read: {error}") from error

    async def writing(self, work: Callable[[Connection], T]) -> T:
        """Keep the file in order, in a transaction of the writer's thread. The limit of its size does not count for it.

        Raises Unavailable when it cannot be written.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._in_file.unlimited, work)

    def when_full(self, make_room: Callable[[Connection], bool]) -> None:
        """Ask `make_room` before something is refused because the file is as large as it may become."""
        self._in_file.make_room = make_room

    async def load(self, topic: str, partition: int) -> Progress | None:
        """How far the consumer of request batches has come: this log is its ConsumerProgress."""
        return await SqliteProgress(self._read, file.CONSUMER).load(topic, partition)

    async def wait_beyond(self, sequence: int, timeout_s: float) -> None:
        """Return when the file has more than `sequence` batches, and at the latest after `timeout_s`."""
        committed = self._committed
        if self.sequence > sequence:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await committed.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        """Finish what is being written and close the file."""
        while self._writing:
            await self._committed.wait()
        await self.flush()
        if self._gather is not None:
            self._gather.cancel()
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        for thread in (self._writer, self._reader):
            thread.shutdown(wait=True)
        self._in_file.close()
        self._read.close()
        self._journal.close()
