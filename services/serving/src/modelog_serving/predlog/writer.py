"""The thread's side of the prediction log: transactions that put answers into its file, all of one or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import structlog
from modelog_common.bus.progress import Progress
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import AlreadyExists, ModelogError, Unavailable

from modelog_serving.engine.texts import same_cells
from modelog_serving.predlog import bodies, file, index
from modelog_serving.predlog.answers import Answers, Merging, Recorded
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.journal import Journaled
from modelog_serving.predlog.stored import stored_parts

log = structlog.get_logger()
T = TypeVar("T")
# Answers that are no further apart than this may be in one batch, which says when they were given.
MOMENT_US = 5_000
# None: stored. Else what was answered before under these ids: nothing was stored, and that is the answer.
Outcome = Sequence[Recorded] | None


@dataclass(frozen=True)
class StreamCommit:
    """What one step through the request topic leaves behind, all or nothing."""

    answers: Sequence[Answers]
    reached: Mapping[str, int]
    progress: Progress | None


class Writer:
    """Writes the file `path`, which may take `most_bytes` (0: as much as there is). Call it in one thread only."""

    def __init__(self, path: Path, clock: Clock, most_bytes: int) -> None:
        self._path, self._clock, self._most_bytes = path, clock, most_bytes
        self._db = file.connect(path, most_bytes)
        self.log_id = file.meta(self._db, "log_id")
        self.sequence = file.last_sequence(self._db)
        self.journaled = int(file.meta(self._db, "journal"))
        self._next, self._latest_us = self.sequence + 1, 0
        self.make_room: Callable[[Connection], bool] = lambda _db: False
        self.elsewhere: Callable[[Answers], Outcome | ModelogError] = lambda _answers: None
        # Of a small file whatever is freed is used again; one that may grow has large bodies beside it.
        self._beside = not file.is_small(most_bytes)
        self._most_file_bytes = min(bodies.FILE_BYTES, most_bytes // 16 or bodies.FILE_BYTES)
        self.room_bytes = self._room()

    def reached(self) -> dict[str, int]:
        """How far the batches of each producer were handled."""
        return dict(self._db.execute("SELECT producer, sequence FROM source").fetchall())

    def commit(self, journaled: Sequence[Journaled], requests: Sequence[Answers]) -> list[Outcome | ModelogError]:
        """One transaction for all of them; an id that is refused does not disturb the others.

        Raises Unavailable when nothing can be stored; where there is room for what is in the journal only, that is.
        """
        try:
            return self._transaction(lambda: self._store_both(journaled, requests))
        except Unavailable as full:
            if not (journaled and requests):
                raise
            self._transaction(lambda: self._store_both(journaled, []))
            return [full] * len(requests)

    def mend(self) -> int:
        """Take away batches whose bodies are lost, and what a killed process had dropped; how many batches.

        It does no harm where another process writes the log meanwhile: what that has committed is there. Raises
        Unavailable when the file cannot be written.
        """

        def gone(sequence: int) -> None:
            for table in ("batch", "made", "prediction"):
                self._db.execute(f"DELETE FROM {table} WHERE sequence = ?", (sequence,))

        synced = int(file.meta(self._db, "synced"))
        found = self.unlimited(lambda db: bodies.lost(db, synced, gone))
        bodies.left_over(self._db)
        self.sequence = file.last_sequence(self._db)
        return found

    def recover(self, journaled: Sequence[Journaled]) -> None:
        """Store what was answered before; it is taken whether or not the file may be so large."""
        self.unlimited(lambda _db: self._store_both(journaled, []))

    def commit_stream(self, commit: StreamCommit) -> None:
        """Raises Unavailable when nothing can be stored."""

        def work() -> None:
            # In the file itself: a power failure must not take answers whose requests count as handled.
            self._store_all(commit.answers, micros(self._clock.now()), inside=True)
            for producer, sequence in commit.reached.items():
                file.reached(self._db, producer, sequence)
            if commit.progress is not None:
                file.save_progress(self._db, commit.progress)

        self._transaction(work)

    def unlimited(self, work: Callable[[Connection], T]) -> T:
        """Keep the file in order, in a transaction for which its limit does not count."""
        return self._once(lambda: work(self._db), 0)

    def close(self) -> None:
        self._settle(0)
        self._db.close()

    def _store_both(self, journaled: Sequence[Journaled], requests: Sequence[Answers]) -> list[Outcome | ModelogError]:
        for moment in _moments(journaled):
            merging = Merging()
            for one in moment:
                merging.add(one.answers)
            self._store_all(merging.take(), moment[-1].answered_at_us)
        if journaled:
            file.keep_meta(self._db, "journal", str(journaled[-1].number))
        return self._store_requests(requests, micros(self._clock.now())) if requests else []

    def _store_requests(self, requests: Sequence[Answers], now_us: int) -> list[Outcome | ModelogError]:
        outcomes: list[Outcome | ModelogError] = []
        merging = Merging()
        for answers in requests:
            if answers.given_ids and merging.holds(answers):
                # Another request with this id is in this very transaction: it is stored first, then looked at.
                self._store_all(merging.take(), now_us)
            outcome = self._known(answers) if answers.given_ids else None
            outcomes.append(outcome)
            if outcome is None:
                merging.add(answers)
        self._store_all(merging.take(), now_us)
        return outcomes

    def _known(self, answers: Answers) -> Outcome | ModelogError:
        """What was answered before under these ids, or None when they are new."""
        number = file.number_of(self._db, answers.tenant, answers.deployment)
        places = [index.place_of(self._db, number, prediction_id) for prediction_id in answers.ids]
        if all(place is None for place in places):
            return self.elsewhere(answers)
        return before(self._db, answers, places)

    def _store_all(self, batches: Sequence[Answers], answered_at_us: int, inside: bool = False) -> None:
        # Batches are looked for by their time: it never falls, whatever a clock does.
        self._latest_us = max(self._latest_us, answered_at_us)
        for answers in batches:
            parts = stored_parts(answers, self._next, self.log_id, self._latest_us)
            size_bytes = sum(map(len, parts))
            if inside or self._is_for_inside(size_bytes):
                file.store(self._db, answers, self._next, b"".join(parts))
            else:
                file.store(self._db, answers, self._next, b"", bodies.put(self._db, parts, self._most_file_bytes))
            number = file.number_of(self._db, answers.tenant, answers.deployment)
            index.add(self._db, number, answers, self._next)
            self._next += 1

    def _is_for_inside(self, size_bytes: int) -> bool:
        """Whether a body goes into the file itself; raises Full when it goes beside it and there is no room there."""
        if not self._beside or size_bytes < bodies.BESIDE_BYTES:
            return True
        if self._limit_bytes:
            # What was freed in a file that does not become smaller counts for its limit.
            if file.free_bytes(self._db) > size_bytes:
                return True
            if file.size_bytes(self._db) + size_bytes > self._limit_bytes:
                raise bodies.Full
        return False

    def _transaction(self, work: Callable[[], T]) -> T:
        """Do all of it or nothing, once there is room for it; raises Unavailable when it cannot be stored."""
        while True:
            try:
                return self._once(work, self._most_bytes)
            except Unavailable as full:
                if not _is_full(full.__cause__) or not self.unlimited(self.make_room):
                    raise

    def _once(self, work: Callable[[], T], most_bytes: int) -> T:
        db = self._db
        self._next, self._limit_bytes = self.sequence + 1, most_bytes
        try:
            if self._most_bytes:
                beside_bytes = bodies.size_bytes(db)
                file.limit(db, most_bytes and max(1, most_bytes - beside_bytes))
            db.execute("BEGIN IMMEDIATE")
            result = work()
            db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise Unavailable(
                f"the prediction log {self._path} cannot be written: {error}; nothing was stored"
            ) from error
        except BaseException:
            self._roll_back()
            raise
        self.sequence = self._next - 1
        db.beside.ended(committed=True)
        self._settle(file.CHECKPOINT_BYTES)
        self.room_bytes = self._room()
        return result

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._db.beside.ended(committed=False)

    def _settle(self, more_than_bytes: int) -> None:
        """Bring what was committed to the disk, as SQLite does with its WAL, when so much was written beside it."""
        if self._db.beside.unsynced_bytes <= more_than_bytes:
            return
        try:
            self._db.beside.sync()
            file.keep_meta(self._db, "synced", str(self.sequence))
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            # It is tried again with the next commit.
            log.warning("the prediction log was not brought to the disk", path=str(self._path), error=str(error))

    def _room(self) -> int:
        """How much the file may still grow; a very large number where it has no limit."""
        return self._most_bytes - file.used_bytes(self._db) if self._most_bytes else 1 << 62


def before(
    db: Connection, answers: Answers, places: Sequence[tuple[int, int] | None]
) -> Sequence[Recorded] | ModelogError:
    """What was answered under these ids, some of which are in a log; the error when it was for other features."""
    found: list[Recorded] = []
    for row, place in enumerate(places):
        known = None if place is None else index.recorded(db, *place)
        # A sealed text is the same only where it was sealed here: who has seen one must not send it to get the answer.
        if known is None or known.sealed != answers.sealed or not same_cells(known.features, answers.features[row]):
            taken = next(i for i, p in zip(answers.ids, places, strict=True) if p is not None)
            return AlreadyExists(
                f"id: prediction {taken!r} of {answers.deployment} was already answered for other features; "
                "choose an id of its own for every request"
            )
        found.append(known)
    return found


def _moments(journaled: Sequence[Journaled]) -> Iterator[Sequence[Journaled]]:
    """What was answered at about the same time: a batch has one time for all that is in it."""
    first = 0
    for number, one in enumerate(journaled):
        if one.answered_at_us - journaled[first].answered_at_us > MOMENT_US:
            yield journaled[first:number]
            first = number
    if journaled:
        yield journaled[first:]


def _is_full(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return round(moment.timestamp() * 1_000_000)
