"""The projection of windows into time series: how quality and drift went on, overall and by version."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import EventStore
from modelog_common.read.moment import ReadOptions, moment_of
from modelog_common.rpc.call import patience_s
from modelog_common.stores.series import Aggregate, Point, SeriesStore

from modelog_monitoring.events import EVENTS
from modelog_monitoring.monitor.events import QualityFigures, WindowEvaluated

CATEGORY = "monitoring.monitor"
METRICS = ("auc", "log_loss", "brier", "base_rate", "labelled", "predictions", "drifted_features")
# A series of one point, whose line says which history of the log the others are from.
HISTORY = "history"
WAIT_S = 30.0
RETRY_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True)
class Spans:
    """Spans of time, each with one point."""

    every: timedelta
    aggregate: Aggregate


class SeriesProjection:
    """Follows the log from its start each time the process starts: writing a point again changes nothing."""

    def __init__(self, store: EventStore, series: SeriesStore) -> None:
        self._store, self._series = store, series
        self._position = 0
        self._is_of_this_log = False
        self._turn = asyncio.Lock()
        self._moved = asyncio.Condition()
        self.error = ""

    @property
    def position(self) -> int:
        """Everything up to this position is in the series."""
        return self._position

    async def cover(self, read: ReadOptions) -> None:
        """Wait until the series cover what the caller asks for."""
        await moment_of(read, self._store, self)

    async def points(
        self, metric: str, tags: Mapping[str, str], spans: Spans | None = None, end: datetime | None = None
    ) -> list[Point]:
        """The points of a metric that carry all of `tags`, before `end`."""
        if spans is None:
            return await self._series.query(metric, tags, end=end)
        return await self._series.downsample(metric, spans.every, spans.aggregate, tags, end=end)

    async def wait_for(self, position: int) -> None:
        """Wait until the series cover `position`; raises Unavailable when they do not while the caller waits."""
        longest_s = patience_s()
        try:
            async with asyncio.timeout(longest_s), self._moved:
                await self._moved.wait_for(lambda: self._position >= position)
        except TimeoutError:
            raise Unavailable(
                f"the series are at position {self._position} and did not reach {position} in {longest_s:g} s. "
                f"{self.error}".strip()
            ) from None

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.catch_up()
                self.error = ""
            except Unavailable as error:
                self._report(str(error))
                await asyncio.sleep(RETRY_S)
                continue
            except Exception as error:
                # Whatever a store makes of the points, monitoring goes on without them, and says why.
                self._report(f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_S)
                continue
            await self._store.wait_beyond(self._position, WAIT_S)

    def _report(self, trouble: str) -> None:
        if trouble != self.error:
            log.warning("series are behind", position=self._position, error=trouble)
        self.error = trouble

    async def catch_up(self) -> int:
        """Write everything that is in the log now; returns the position reached."""
        async with self._turn:
            return await self._catch_up()

    async def _belong_to_the_log(self) -> None:
        """Drop what was written of another history of the log: points that this one may not have."""
        history = self._store.history
        if [point.line for point in await self._series.query(HISTORY)] != [history]:
            await self._series.drop()
            await self._series.write([Point(HISTORY, history, datetime.fromtimestamp(0, UTC), 1.0)])
        self._is_of_this_log = True

    async def _catch_up(self) -> int:
        if not self._is_of_this_log:
            await self._belong_to_the_log()
        head = await self._store.head()
        points: list[Point] = []
        async for stored in self._store.read_all(after=self._position, categories=[CATEGORY], until=head):
            event = EVENTS.decode(stored.type, stored.schema, stored.payload)
            if isinstance(event, WindowEvaluated):
                points += points_of(event, stored.tenant)
        if points:
            await self._series.write(points)
        async with self._moved:
            self._position = max(self._position, head)
            self._moved.notify_all()
        return self._position

    async def rebuild(self) -> int:
        """Drop everything and read the log again; returns the position reached."""
        async with self._turn:
            await self._series.drop()
            self._position, self._is_of_this_log = 0, False
            return await self._catch_up()


def points_of(window: WindowEvaluated, tenant: str) -> Iterator[Point]:
    """A window's points, at its start; the line is a version, or "" for all rows."""
    tags = {"tenant": tenant, "monitor": window.monitor}
    yield Point("drifted_features", "", window.start, float(window.drifted_features), tags)
    counts = {"": window.predictions} | window.predictions_by_version
    for line, count in counts.items():
        yield Point("predictions", line, window.start, float(count), tags)
    figures = ({} if window.quality is None else {"": window.quality}) | window.by_version
    for line, quality in figures.items():
        for metric, value in _values(quality):
            yield Point(metric, line, window.start, value, tags)


def _values(quality: QualityFigures) -> Iterable[tuple[str, float]]:
    if quality.auc is not None:
        yield "auc", quality.auc
    yield "log_loss", quality.log_loss
    yield "brier", quality.brier
    yield "base_rate", quality.base_rate
    yield "labelled", float(quality.rows)
