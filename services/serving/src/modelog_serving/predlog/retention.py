"""Drops what the prediction log need not hold any more: published segments that are old, or whose space is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import Unavailable
from modelog_proto.serving.v1.data_pb2 import PredictionBatch

from modelog_serving.predlog import bodies, file, index, segments
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.segments import Segment
from modelog_serving.predlog.writer import micros

LOOK_S = 1.0
# So many answers are taken out of the index in one transaction: requests wait for it.
ROWS_AT_ONCE = 4_000
# Of the space that the log may take, so much is used before something is dropped for it.
FULL = 0.8
log = structlog.get_logger()


class Retention:
    """`run` it as a task of its own.

    A segment can be dropped when its event is in the log of events and its batches, up to `published`, in their topics.
    It is dropped when it is older than `keep_s` (0: never), and, oldest first, when the space of `most_bytes` is needed
    (0: never). What is dropped is no longer published again, shown, proven, or known by its id.
    """

    def __init__(
        self, predictions: PredictionLog, published: Callable[[], int], clock: Clock, keep_s: int, most_bytes: int
    ) -> None:
        self._log, self._published, self._clock = predictions, published, clock
        self._keep, self._most_bytes = timedelta(seconds=keep_s) if keep_s else None, most_bytes
        predictions.when_full(self.make_room)

    async def run(self) -> None:
        """Drop until cancelled."""
        while True:
            try:
                await self.drop_due()
            except Unavailable as error:
                log.warning("old predictions wait to be dropped", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def drop_due(self) -> None:
        """Drop all that is old enough, or in the way. Raises Unavailable when the file cannot be written now."""
        while await self._log.writing(_clear):
            pass
        while await self._log.writing(self._drop_oldest):
            while await self._log.writing(_clear):
                pass

    def _drop_oldest(self, db: Connection) -> bool:
        segment = oldest(db, self._published())
        now = micros(self._clock.now())
        if segment is None or not (self._old(segment, now) or self._needed(db)):
            return False
        _drop(db, segment, now)
        return True

    def _old(self, segment: Segment, now_us: int) -> bool:
        return self._keep is not None and segment.last_us < now_us - self._keep // timedelta(microseconds=1)

    def _needed(self, db: Connection) -> bool:
        return self._most_bytes > 0 and file.used_bytes(db) > FULL * self._most_bytes

    def make_room(self, db: Connection) -> bool:
        """Drop the oldest segment whole, in a transaction of the writer's; False when there is none to drop."""
        segment = oldest(db, self._published())
        if segment is not None:
            _drop(db, segment, micros(self._clock.now()))
        found = segment is not None
        while _clear(db):
            found = True
        return found


def oldest(db: Connection, published: int) -> Segment | None:
    """The oldest segment that is told and published."""
    return segments.first_where(db, "position > 0 AND last <= ?", published)


def _drop(db: Connection, segment: Segment, now_us: int) -> None:
    """From now on it counts as dropped; `_clear` takes its batches away."""
    db.execute("DELETE FROM segment WHERE tenant = ? AND number = ?", (segment.tenant, segment.number))
    db.execute(
        "INSERT INTO dropped (tenant, number, last, last_us, dropped_us) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (tenant) DO UPDATE SET number = excluded.number, last = excluded.last, "
        "last_us = excluded.last_us, dropped_us = excluded.dropped_us, cleared = 0",
        (segment.tenant, segment.number, segment.last, segment.last_us, now_us),
    )


def _clear(db: Connection) -> bool:
    """Take the next batches of what was dropped away; False when there are none."""
    waiting = db.execute("SELECT tenant, last FROM dropped WHERE NOT cleared LIMIT 1").fetchone()
    if waiting is None:
        return False
    tenant, last = waiting
    batches = file.batches(db, "sequence <= ? AND tenant = ? ORDER BY sequence", (last, tenant))
    rows, gone = 0, []
    for batch in batches:
        number = file.number_of(db, tenant, batch.deployment)
        ids = PredictionBatch.FromString(batch.body).prediction_ids
        index.forget(db, number, ids, batch.sequence)
        gone.append(batch)
        rows += len(ids)
        if rows >= ROWS_AT_ONCE:
            break
    else:
        db.execute("UPDATE dropped SET cleared = 1 WHERE tenant = ?", (tenant,))
    db.executemany("DELETE FROM batch WHERE sequence = ?", [(batch.sequence,) for batch in gone])
    bodies.forget(db, [batch.file for batch in gone])
    return True
