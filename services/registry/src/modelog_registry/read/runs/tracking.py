"""Answers about experiments and runs, as of a moment. Those about now cover every point that was acknowledged."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import EventStore
from modelog_common.read.moment import ReadOptions, head_of
from modelog_common.read.queries import AsStored, Found, Page, Queries
from modelog_common.stores.curves import Curve, curve_of, in_order
from modelog_common.stores.curves.thinning import Span, Thinner
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1 import search_pb2
from sqlalchemy import ColumnElement, not_, select

from modelog_registry.handle.acknowledged import Acknowledged
from modelog_registry.handle.metrics import Metrics
from modelog_registry.handle.sealing import Sealing
from modelog_registry.read.conditions import check, holds, sorted_by
from modelog_registry.read.messages import timestamp
from modelog_registry.read.places import EXPERIMENT, inside
from modelog_registry.read.queries import EVERYTHING, existing
from modelog_registry.read.runs.search_runs import in_a_deleted_experiment, search_runs
from modelog_registry.read.tables import EXPERIMENTS, RUN_POINTS, RUNS
from modelog_registry.read.words.texts import Words, no_words

EXPERIMENT_ATTRIBUTES: dict[str, type] = {
    "experiment_id": str,
    "name": str,
    "creation_time": float,
    "last_update_time": float,
}
# How many points GetRun gives.
POINTS = 10_000
DEFAULT_HISTORY = 25_000
THINNED = 1_000
LAST_OFFSET = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TrackingQueries:
    """Queries over the read tables and the curves. What does not exist as of the moment raises NotFound."""

    def __init__(
        self,
        queries: Queries,
        store: EventStore,
        metrics: Metrics,
        sealing: Sealing,
        acknowledged: Acknowledged,
        words: Words = no_words,
    ) -> None:
        self._queries, self._store, self._metrics, self._words = queries, store, metrics, words
        self._sealing, self._acknowledged = sealing, acknowledged

    async def experiment(self, experiment_id: str, read: ReadOptions, tenant: str) -> pb.Experiment:
        read = self._answered(read, tenant)
        found = await self._queries.one(EXPERIMENTS, pb.Experiment, read, tenant, experiment_id=experiment_id)
        return existing(found, f"there is no experiment {experiment_id!r}", read)

    async def experiment_named(self, name: str, read: ReadOptions, tenant: str) -> pb.Experiment:
        read = self._answered(read, tenant)
        where = [EXPERIMENTS.table.c.name == name]
        found = await self._queries.page(EXPERIMENTS, pb.Experiment, read, tenant, common.Page(size=1), where=where)
        return existing(next(iter(found.items), None), f"there is no experiment {name!r}", read)

    async def experiments(self, request: pb.ListExperimentsRequest, tenant: str) -> Found[pb.Experiment]:
        """Those that are not deleted, by name."""
        c = EXPERIMENTS.table.c
        read = self._answered(request.read, tenant)

        def where(at: int | None) -> list[ColumnElement[bool]]:
            return [c.hidden == 0, *_inside(request, tenant, at)]

        return await self._queries.page(
            EXPERIMENTS, pb.Experiment, read, tenant, request.page, where=where, order_by=[c.name]
        )

    async def search_experiments(self, request: pb.SearchExperimentsRequest, tenant: str) -> Found[pb.Experiment]:
        """All are looked at: a tenant has thousands at most."""
        fields = [search_pb2.FIELD_ATTRIBUTE, search_pb2.FIELD_TAG]
        check(request.conditions, request.order_by, EXPERIMENT_ATTRIBUTES, fields)

        async def ids_at(at: int, offset: int, limit: int) -> Sequence[str]:
            t = EXPERIMENTS.table.c
            where = [*await self._queries.rows_of(EXPERIMENTS, tenant, at), *_inside(request, tenant, at)]
            if request.view != search_pb2.VIEW_ALL:
                where.append(t.hidden == int(request.view == search_pb2.VIEW_DELETED))
            rows = await self._queries.fetch(select(t.body).where(*where).order_by(t.name))
            all_ = [pb.Experiment.FromString(row.body) for row in rows]
            met = [e for e in all_ if all(holds(c, _of_experiment(e, c)) for c in request.conditions)]
            return [e.id for e in sorted_by(met, request.order_by, _of_experiment)[offset : offset + limit]]

        read = self._answered(request.read, tenant)
        return await self._queries.search(EXPERIMENTS, pb.Experiment, read, tenant, request.page, ids_at)

    async def run(self, run_id: str, read: ReadOptions, tenant: str) -> pb.Run:
        """A run without the points of its metrics."""
        read = await self._covering(read, tenant, run_id)
        found = await self._queries.one(RUNS, pb.Run, read, tenant, run_id=run_id)
        return existing(found, f"there is no run {run_id!r}", read)

    async def run_with_points(self, run_id: str, read: ReadOptions, tenant: str) -> pb.Run:
        """A run with the first points of its metrics, in the order in which they were told."""
        run = await self.run(run_id, read, tenant)
        run.points.extend(await self._told_in_log(run_id, run.position, tenant))
        last = await self._metrics.sealed(run_id, tenant, run.position)
        for curve in await self._metrics.told(run_id, last, POINTS - len(run.points)):
            run.points.extend(
                pb.MetricPoint(
                    name=curve.name, value=value, step=step, at=timestamp(_EPOCH + timedelta(milliseconds=ms))
                )
                for step, ms, value in zip(curve.steps, curve.times_ms, curve.values, strict=True)
            )
        return run

    async def runs(self, experiment: str, page: Page, read: ReadOptions, tenant: str) -> Found[pb.Run]:
        """Runs of one experiment or, for an empty name, of all; newest first, without points or what is deleted."""
        t = RUNS.table.c
        in_experiment: str | None = None
        read = await self._covering(read, tenant)
        if experiment:
            c = EXPERIMENTS.table.c
            named = common.Page(size=1)
            found = await self._queries.page(
                EXPERIMENTS, pb.Experiment, read, tenant, named, where=[c.name == experiment]
            )
            in_experiment = found.items[0].id if found.items else ""

        def where(at: int | None) -> Sequence[ColumnElement[bool]]:
            if in_experiment is None:
                return [t.hidden == 0, not_(in_a_deleted_experiment(tenant, at))]
            return [t.hidden == 0, t.experiment_id == in_experiment]

        return await self._queries.page(RUNS, pb.Run, read, tenant, page, where=where, order_by=[t.started_us.desc()])

    async def search_runs(self, request: pb.SearchRunsRequest, tenant: str) -> pb.SearchRunsResponse:
        whole = pb.SearchRunsRequest()
        whole.CopyFrom(request)
        whole.read.CopyFrom(await self._covering(request.read, tenant))
        asked = (self._queries, self._words, whole, tenant)
        if request.encoded:
            stored = await search_runs(*asked, AsStored)
            return pb.SearchRunsResponse(encoded_runs=stored.items, next_page_token=stored.next_page_token)
        found = await search_runs(*asked, pb.Run)
        return pb.SearchRunsResponse(runs=found.items, next_page_token=found.next_page_token)

    async def history(self, request: pb.GetMetricHistoryRequest, tenant: str) -> pb.GetMetricHistoryResponse:
        """Points of one metric, by step and time."""
        await self._metrics.check(request.run_id, tenant)
        offset, last, position = _token(request.page_token)
        if not request.page_token:
            last, position = await self._world(request.run_id, request.read, tenant)
        size = request.size or DEFAULT_HISTORY
        in_log = await self._of_metric(request.run_id, request.metric, position, tenant)
        if in_log:
            everything = await self._metrics.history(request.run_id, request.metric, last, 0, LAST_OFFSET)
            curve = _merged(in_log, everything, offset, size + 1)
        else:
            curve = await self._metrics.history(request.run_id, request.metric, last, offset, size + 1)
        more = len(curve.values) > size
        token = base64.urlsafe_b64encode(f"{offset + size}:{last}:{position}".encode()).decode() if more else ""
        points = pb.MetricColumn(
            name=request.metric, steps=curve.steps[:size], times_ms=curve.times_ms[:size], values=curve.values[:size]
        )
        return pb.GetMetricHistoryResponse(points=points, next_page_token=token)

    async def thinned(self, request: pb.GetThinnedMetricRequest, tenant: str) -> pb.GetThinnedMetricResponse:
        """Few points that stand for the curve of a metric, or for a part of it."""
        await self._metrics.check(request.run_id, tenant)
        run_id, metric, size = request.run_id, request.metric, request.size or THINNED
        span = _span(request)
        last, position = await self._world(run_id, request.read, tenant)
        in_log = await self._of_metric(run_id, metric, position, tenant)
        if in_log:
            whole = _merged(in_log, await self._metrics.history(run_id, metric, last, 0, LAST_OFFSET), 0, LAST_OFFSET)
            thinner = Thinner(metric, size, len(whole.values), span)
            thinner.take(whole)
            found = thinner.result()
        else:
            found = await self._metrics.thinned(run_id, metric, last, size, span)
        curve = found.curve
        return pb.GetThinnedMetricResponse(
            points=pb.MetricColumn(name=metric, steps=curve.steps, times_ms=curve.times_ms, values=curve.values),
            total=found.total,
            lowest=found.lowest,
            highest=found.highest,
            not_finite=found.not_finite,
        )

    async def _world(self, run_id: str, read: ReadOptions, tenant: str) -> tuple[int, int]:
        """The last batch of a run and the position of the log that a question about its points is answered by."""
        until = await head_of(read, self._store) if read.as_of else None
        last = await self._metrics.sealed(run_id, tenant, until)
        return last, until or await self._store.head()

    async def _of_metric(self, run_id: str, metric: str, position: int, tenant: str) -> list[pb.MetricPoint]:
        return [point for point in await self._told_in_log(run_id, position, tenant) if point.name == metric]

    async def _covering(self, read: ReadOptions, tenant: str, run_id: str = "") -> common.ReadOptions:
        """Now is after everything that was acknowledged: what waits is sealed, and waited for."""
        if not read.as_of:
            if run_id:
                await self._sealing.seal(run_id)
            else:
                await self._sealing.seal_all(tenant)
        return self._answered(read, tenant)

    def _answered(self, read: ReadOptions, tenant: str) -> common.ReadOptions:
        """Now is after everything that was answered: a run may be older than its row, and so may its experiment."""
        at_least = read.at_least
        if not read.as_of:
            at_least = max(at_least, self._acknowledged.position(tenant))
        return common.ReadOptions(as_of=read.as_of, at_least=at_least)

    async def _told_in_log(self, run_id: str, position: int, tenant: str) -> list[pb.MetricPoint]:
        """The points that events told, which LogRun's are."""
        t = RUN_POINTS.table.c
        told = await self._queries.page(
            RUN_POINTS,
            pb.Run,
            common.ReadOptions(as_of=str(position)),
            tenant,
            EVERYTHING,
            where=[t.run_id == run_id],
            order_by=[t.ordinal],
        )
        return [point for points in told.items for point in points.points]


def _inside(
    request: pb.ListExperimentsRequest | pb.SearchExperimentsRequest, tenant: str, at: int | None
) -> list[ColumnElement[bool]]:
    return inside(EXPERIMENT, EXPERIMENTS.table.c.experiment_id, tenant, at, request.workspace, request.project)


def _of_experiment(experiment: pb.Experiment, asked: search_pb2.Condition | search_pb2.Order) -> str | float | None:
    if asked.field == search_pb2.FIELD_TAG:
        return experiment.tags.get(asked.key)
    match asked.key:
        case "experiment_id":
            return experiment.id
        case "name":
            return experiment.name
        case "creation_time":
            return experiment.created_at.ToMilliseconds()
        case _:
            return experiment.updated_at.ToMilliseconds()


def _merged(in_log: Sequence[pb.MetricPoint], curve: Curve, offset: int, limit: int) -> Curve:
    whole = curve_of(
        curve.name,
        [*(p.step for p in in_log), *curve.steps],
        [*(p.at.ToMilliseconds() for p in in_log), *curve.times_ms],
        [*(p.value for p in in_log), *curve.values],
    )
    end, ordered = offset + limit, in_order(whole)
    return Curve(curve.name, ordered.steps[offset:end], ordered.times_ms[offset:end], ordered.values[offset:end])


def _span(request: pb.GetThinnedMetricRequest) -> Span | None:
    if request.along == pb.CURVE_AXIS_UNSPECIFIED:
        return None
    if request.first > request.last:
        raise Invalid.field("first", f"is {request.first}, after last, which is {request.last}; it must not be greater")
    return Span("steps" if request.along == pb.CURVE_AXIS_STEP else "times", request.first, request.last)


def _token(token: str) -> tuple[int, int, int]:
    """Offset, last batch and position of a page of a history."""
    if not token:
        return 0, 0, 0
    try:
        offset, last, position = (int(part) for part in base64.urlsafe_b64decode(token).decode().split(":"))
        if min(offset, last, position) < 0 or max(offset, last, position) > LAST_OFFSET:
            raise ValueError(token)
        return offset, last, position
    except (binascii.Error, ValueError):
        raise Invalid.field("page_token", "is not a token that an earlier answer gave") from None
