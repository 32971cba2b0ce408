"""Seals the prediction log: closes segments by size or time, and tells the Merkle root of each to the log of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_serving.predlog import file, segments
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.segments import OpenSegment, Segment
from modelog_serving.predlog.writer import micros
from modelog_serving.segment.commands import Seal, SegmentCommand
from modelog_serving.segment.decide import segment_id
from modelog_serving.segment.events import SegmentEvent
from modelog_serving.segment.state import Segment as SegmentState

ACTOR = "service:serving"
LOOK_S = 1.0
# So much is hashed at once; whoever looks for a prediction meanwhile waits for it.
READ_BYTES = 256_000
log = structlog.get_logger()
SegmentEntities = Entities[SegmentState, SegmentCommand, SegmentEvent]


class Sealer:
    """`run` it as a task of its own. A segment is closed when it has `most_bytes` or is `every_s` old."""

    def __init__(
        self, predictions: PredictionLog, entities: SegmentEntities, clock: Clock, every_s: float, most_bytes: int
    ) -> None:
        self._log, self._entities, self._clock = predictions, entities, clock
        self._every, self._most_bytes = timedelta(seconds=every_s), most_bytes
        self._turn = asyncio.Lock()
        self._open: dict[str, OpenSegment] = {}
        self._closed: list[Segment] = []
        self._reached, self._begun = segments.Reached(), False
        # Whether there may be segments in the file that have no event yet.
        self._untold = True

    async def run(self) -> None:
        """Seal until cancelled."""
        while True:
            try:
                await self.seal_due()
            except (Unavailable, Conflict) as error:
                log.warning("segments of the prediction log wait", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def seal_due(self) -> None:
        """Take in what is new in the log; close and tell the segments that are large or old enough.

        Raises Unavailable or Conflict when something cannot be written now: it is tried again with the next call.
        """
        async with self._turn:
            await self._advance()
            due = micros(self._clock.now() - self._every)
            await self._close(lambda segment: segment.first_us <= due)

    async def seal(self, tenant: str) -> None:
        """Seal all that the log has of a tenant now; raises as `seal_due` does."""
        async with self._turn:
            await self._advance()
            await self._close(lambda segment: segment.tenant == tenant)

    async def _advance(self) -> None:
        """Hash the batches that were committed since."""
        if not self._begun:
            self._reached, self._begun = await self._log.reading(segments.reached), True
        # Once is enough: what comes into the journal from now on is taken the next time.
        await self._log.flush()
        until = self._log.sequence
        while self._reached.covered < until:
            await self._log.reading(lambda db: self._take(db, until), whole=False)

    def _take(self, db: Connection, until: int) -> None:
        """The next batches. Open segments are touched in the reader's thread only: a caller may go away at any time."""
        where = "sequence > ? AND sequence <= ? ORDER BY sequence"
        size = 0
        for batch in file.batches(db, where, (self._reached.covered, until)):
            self._add(batch.tenant, batch.sequence, batch.body)
            self._reached.covered = batch.sequence
            size += len(batch.body)
            if size > READ_BYTES:
                return
        self._reached.covered = until

    def _add(self, tenant: str, sequence: int, body: bytes) -> None:
        number, last = self._reached.tenants.get(tenant, (0, 0))
        if sequence <= last:
            return
        segment = self._open.get(tenant)
        if segment is None:
            segment = self._open[tenant] = OpenSegment(tenant, number + 1, sequence)
        segment.add(sequence, body)
        if segment.size_bytes >= self._most_bytes:
            self._shut(tenant)

    def _shut(self, tenant: str) -> None:
        closed = self._open.pop(tenant).closed()
        self._reached.tenants[tenant] = (closed.number, closed.last)
        self._closed.append(closed)

    def _shut_all(self, which: Callable[[OpenSegment], bool]) -> list[Segment]:
        for tenant in [tenant for tenant, segment in self._open.items() if which(segment)]:
            self._shut(tenant)
        return list(self._closed)

    async def _close(self, which: Callable[[OpenSegment], bool]) -> None:
        """Close these; write down what is closed, and tell it."""
        closed = await self._log.reading(lambda _db: self._shut_all(which), whole=False)
        if not (closed or self._untold):
            return
        self._untold = True
        await self._log.writing(lambda db: segments.keep(db, closed))
        del self._closed[: len(closed)]
        for segment in await self._log.reading(segments.untold, whole=False):
            await self._log.writing(partial(segments.told, segment=segment, position=await self._tell(segment)))
        self._untold = False

    async def _tell(self, segment: Segment) -> int:
        """The position of the segment's event; a segment that was told before is not told again."""
        log_id = self._log.log_id
        command = Seal(
            log_id, segment.number, segment.first, segment.last, segment.count, segment.size_bytes, segment.root,
            segment.digest, _moment(segment.first_us), _moment(segment.last_us), segment.leaves,
        )  # fmt: skip
        entity = segment_id(segment.tenant, log_id, segment.number, segment.root)
        ctx = Context(self._clock.now(), ACTOR, segment.tenant, derived_id("sealed", entity))
        return (await self._entities.begin(entity, command, ctx)).position


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us)
