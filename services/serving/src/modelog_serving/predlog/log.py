"""Writes answers to the prediction log: those that come while a commit is under way share the next one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import AlreadyExists, ModelogError, Overloaded, Unavailable

from modelog_serving.predlog import file
from modelog_serving.predlog.answers import Answers, Merging, Recorded, to_batch

# What may wait to be written: a disk that is slow or hangs must not fill the memory.
MOST_WAITING_BYTES = 64 << 20
# What a row takes besides its numbers.
ROW_BYTES = 200
T = TypeVar("T")
Stored = Sequence[Recorded] | None


@dataclass(frozen=True)
class StreamCommit:
    """What one step through the request topic leaves behind, all or nothing."""

    answers: Sequence[Answers]
    reached: Mapping[str, int]
    progress: Progress | None


@dataclass(frozen=True)
class _Append:
    answers: Answers
    done: Callable[[Stored | BaseException], None]

    @property
    def size_bytes(self) -> int:
        return self.answers.features.nbytes + self.answers.outputs.nbytes + ROW_BYTES * len(self.answers.ids)


class PredictionLog:
    """The log in the file `path`; one writer thread, one reader thread."""

    def __init__(self, path: Path, clock: Clock, most_bytes: int = 0) -> None:
        self.path = path
        self._clock = clock
        self._write = file.connect(path, most_bytes)
        self._read = file.connect(path)
        self.log_id = file.meta(self._write, "log_id")
        self._sequence = file.last_sequence(self._write)
        self._next = self._sequence + 1
        self._reached: dict[str, int] = dict(self._write.execute("SELECT producer, sequence FROM source").fetchall())
        self._writer = ThreadPoolExecutor(1, "prediction-writer")
        self._reader = ThreadPoolExecutor(1, "prediction-reader")
        self._pending: list[_Append] = []
        self._waiting_bytes = 0
        self._writing = False
        self._most_bytes = most_bytes
        self._make_room: Callable[[sqlite3.Connection], bool] = lambda _db: False
        self._committed = asyncio.Event()

    @classmethod
    async def open(cls, path: Path, clock: Clock, most_bytes: int = 0) -> PredictionLog:
        """Open or make the log; it takes up to `most_bytes`, 0 for as much as the disk has.

        Raises Unavailable when the file cannot be used.
        """
        return await asyncio.to_thread(cls, path, clock, most_bytes)

    @property
    def sequence(self) -> int:
        """The last batch's place; 0 when there is none."""
        return self._sequence

    def reached(self, producer: str) -> int:
        """The last sequence of a producer (a `sender_of`) that was handled, durably; 0 when none was."""
        return self._reached.get(producer, 0)

    async def append(self, answers: Answers) -> Stored:
        """Store the answers to one request; when this returns they survive `kill -9`.

        Returns None; or, when the caller's ids were answered before with the same features, what was answered then:
        nothing is stored and that must be the answer. Raises AlreadyExists when they were answered with other
        features, Unavailable when nothing can be stored, and Overloaded when too much waits to be stored.
        """
        stored: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()

        def done(outcome: Stored | BaseException) -> None:
            if stored.done():
                return
            if isinstance(outcome, BaseException):
                stored.set_exception(outcome)
            else:
                stored.set_result(outcome)

        self.put(answers, done)
        return await stored

    def put(self, answers: Answers, done: Callable[[Stored | BaseException], None]) -> None:
        """As `append`, for who awaits nothing: `done` is told later what it would have returned or raised."""
        item = _Append(answers, done)
        if self._waiting_bytes and self._waiting_bytes + item.size_bytes > MOST_WAITING_BYTES:
            done(Overloaded("too many predictions wait to be written to the prediction log; try again later"))
            return
        self._waiting_bytes += item.size_bytes
        self._pending.append(item)
        if not self._writing:
            self._writing = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._cut, loop)

    async def append_stream(self, commit: StreamCommit) -> None:
        """Store answered request batches with how far their producers and the consumer have come, in one transaction.

        Raises Unavailable when nothing can be stored.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._commit_stream, commit)
        self._reached.update(commit.reached)
        self._wake()

    def _cut(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._pending = self._pending, []
        if not batch:
            self._writing = False
            return
        written = loop.run_in_executor(self._writer, self._commit, [item.answers for item in batch])
        written.add_done_callback(lambda done: self._answer(loop, batch, done))

    def _answer(
        self, loop: asyncio.AbstractEventLoop, batch: list[_Append], done: asyncio.Future[list[Stored | ModelogError]]
    ) -> None:
        failed = done.exception()
        outcomes = [failed] * len(batch) if failed else done.result()
        for item, outcome in zip(batch, outcomes, strict=True):
            self._waiting_bytes -= item.size_bytes
            item.done(outcome)
        self._wake()
        self._cut(loop)

    def _wake(self) -> None:
        self._committed.set()
        self._committed = asyncio.Event()

    def _commit(self, requests: list[Answers]) -> list[Stored | ModelogError]:
        """One transaction for all of them; an id that is refused does not disturb the others."""
        return self._transaction(lambda: self._store_requests(requests))

    def _store_requests(self, requests: list[Answers]) -> list[Stored | ModelogError]:
        outcomes: list[Stored | ModelogError] = []
        merging = Merging()
        for answers in requests:
            if answers.given_ids and merging.holds(answers):
                # Another request with this id is in this very transaction: it is stored first, then looked at.
                self._store_all(merging.take())
            outcome = self._known(answers) if answers.given_ids else None
            outcomes.append(outcome)
            if outcome is None:
                merging.add(answers)
        self._store_all(merging.take())
        return outcomes

    def _known(self, answers: Answers) -> Stored | ModelogError:
        """What was answered before under these ids, or None when they are new."""
        number = file.number_of(self._write, answers.tenant, answers.deployment)
        places = [file.place_of(self._write, number, prediction_id) for prediction_id in answers.ids]
        if all(place is None for place in places):
            return None
        before: list[Recorded] = []
        for row, place in enumerate(places):
            known = None if place is None else file.recorded(self._write, *place)
            if known is None or not np.array_equal(known.features, answers.features[row], equal_nan=True):
                taken = next(i for i, p in zip(answers.ids, places, strict=True) if p is not None)
                return AlreadyExists(
                    f"id: prediction {taken!r} of {answers.deployment} was already answered for other features; "
                    "choose an id of its own for every request"
                )
            before.append(known)
        return before

    def _store_all(self, batches: Sequence[Answers]) -> None:
        for answers in batches:
            self._store(answers)

    def _store(self, answers: Answers) -> None:
        sequence = self._next
        batch = to_batch(answers, sequence, self.log_id, micros(self._clock.now()))
        file.store(self._write, answers, sequence, batch.SerializeToString())
        file.index(self._write, file.number_of(self._write, answers.tenant, answers.deployment), answers.ids, sequence)
        self._next += 1

    def _commit_stream(self, commit: StreamCommit) -> None:
        def work() -> None:
            self._store_all(commit.answers)
            for producer, sequence in commit.reached.items():
                file.reached(self._write, producer, sequence)
            if commit.progress is not None:
                file.save_progress(self._write, commit.progress)

        self._transaction(work)

    def _transaction(self, work: Callable[[], T]) -> T:
        """Do all of it or nothing, once there is room for it; raises Unavailable when it cannot be stored."""
        while True:
            try:
                return self._once(work)
            except Unavailable as full:
                if not _is_full(full.__cause__) or not self._unlimited(self._make_room):
                    raise

    def _once(self, work: Callable[[], T]) -> T:
        db = self._write
        self._next = self._sequence + 1
        try:
            db.execute("BEGIN IMMEDIATE")
            result = work()
            db.execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(db)
            raise Unavailable(
                f"the prediction log {self.path} cannot be written: {error}; nothing was stored"
            ) from error
        except BaseException:
            _roll_back(db)
            raise
        self._sequence = self._next - 1
        return result

    async def find(self, tenant: str, deployment: str, prediction_id: str) -> Recorded | None:
        """One answer by its id."""
        return await self.reading(lambda db: file.find(db, tenant, deployment, prediction_id))

    async def reading(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Look at the file in the reader's thread; raises Unavailable when it cannot be read."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, work, self._read)
        except sqlite3.Error as error:
            raise Unavailable(f"the prediction log {self.path} cannot be read: {error}") from error

    async def writing(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Keep the file in order, in a transaction of the writer's thread. The limit of its size does not count for it.

        Raises Unavailable when it cannot be written.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._unlimited, work)

    def _unlimited(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            file.limit(self._write, 0)
            return self._once(lambda: work(self._write))
        finally:
            file.limit(self._write, self._most_bytes)

    def when_full(self, make_room: Callable[[sqlite3.Connection], bool]) -> None:
        """Ask `make_room` before something is refused because the file is as large as it may become."""
        self._make_room = make_room

    async def load(self, topic: str, partition: int) -> Progress | None:
        """How far the consumer of request batches has come: this log is its ConsumerProgress."""
        return await SqliteProgress(self._read, file.CONSUMER).load(topic, partition)

    async def wait_beyond(self, sequence: int, timeout_s: float) -> None:
        """Return when the log is longer than `sequence`, and at the latest after `timeout_s`."""
        committed = self._committed
        if self._sequence > sequence:
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
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        for thread in (self._writer, self._reader):
            thread.shutdown(wait=True)
        self._write.close()
        self._read.close()


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return round(moment.timestamp() * 1_000_000)
