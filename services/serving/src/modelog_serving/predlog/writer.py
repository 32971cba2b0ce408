"""The thread's side of the prediction log: transactions that put answers into its file, all of one or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from modelog_common.bus.progress import Progress
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import AlreadyExists, ModelogError, Unavailable

from modelog_serving.engine.texts import same_cells
from modelog_serving.predlog import file, index
from modelog_serving.predlog.answers import Answers, Merging, Recorded
from modelog_serving.predlog.journal import Journaled
from modelog_serving.predlog.stored import stored

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
        self.make_room: Callable[[sqlite3.Connection], bool] = lambda _db: False
        self.elsewhere: Callable[[Answers], Outcome | ModelogError] = lambda _answers: None
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

    def recover(self, journaled: Sequence[Journaled]) -> None:
        """Store what was answered before; it is taken whether or not the file may be so large."""
        self.unlimited(lambda _db: self._store_both(journaled, []))

    def commit_stream(self, commit: StreamCommit) -> None:
        """Raises Unavailable when nothing can be stored."""

        def work() -> None:
            self._store_all(commit.answers, micros(self._clock.now()))
            for producer, sequence in commit.reached.items():
                file.reached(self._db, producer, sequence)
            if commit.progress is not None:
                file.save_progress(self._db, commit.progress)

        self._transaction(work)

    def unlimited(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Keep the file in order, in a transaction for which its limit does not count."""
        try:
            file.limit(self._db, 0)
            return self._once(lambda: work(self._db))
        finally:
            file.limit(self._db, self._most_bytes)

    def close(self) -> None:
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

    def _store_all(self, batches: Sequence[Answers], answered_at_us: int) -> None:
        # Batches are looked for by their time: it never falls, whatever a clock does.
        self._latest_us = max(self._latest_us, answered_at_us)
        for answers in batches:
            body = stored(answers, self._next, self.log_id, self._latest_us)
            file.store(self._db, answers, self._next, body)
            number = file.number_of(self._db, answers.tenant, answers.deployment)
            index.add(self._db, number, answers, self._next)
            self._next += 1

    def _transaction(self, work: Callable[[], T]) -> T:
        """Do all of it or nothing, once there is room for it; raises Unavailable when it cannot be stored."""
        while True:
            try:
                return self._once(work)
            except Unavailable as full:
                if not _is_full(full.__cause__) or not self.unlimited(self.make_room):
                    raise

    def _once(self, work: Callable[[], T]) -> T:
        db = self._db
        self._next = self.sequence + 1
        try:
            db.execute("BEGIN IMMEDIATE")
            result = work()
            db.execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(db)
            raise Unavailable(
                f"the prediction log {self._path} cannot be written: {error}; nothing was stored"
            ) from error
        except BaseException:
            _roll_back(db)
            raise
        self.sequence = self._next - 1
        self.room_bytes = self._room()
        return result

    def _room(self) -> int:
        """How much the file may still grow; a very large number where it has no limit."""
        return self._most_bytes - file.used_bytes(self._db) if self._most_bytes else 1 << 62


def before(
    db: sqlite3.Connection, answers: Answers, places: Sequence[tuple[int, int] | None]
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


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return round(moment.timestamp() * 1_000_000)
