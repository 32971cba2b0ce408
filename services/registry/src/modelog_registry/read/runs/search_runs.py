"""Runs that conditions hold for, found by an index: that of the order, or of the condition which fewest runs meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelog_common.read.queries import Found, Message, Queries
from modelog_common.read.tables import TemporalTable
from modelog_proto.registry.v1 import experiment_pb2
from modelog_proto.registry.v1 import search_pb2 as pb
from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, func, literal, not_, or_, select

from modelog_registry.read.conditions import check, is_number
from modelog_registry.read.runs.values import DATASET, METRIC, PARAMETER, TAG, field_of
from modelog_registry.read.sql_conditions import nothing_is, number_condition, text_condition, time_condition
from modelog_registry.read.tables import EXPERIMENTS, RUN_VALUES, RUNS
from modelog_registry.read.words.text_documents import RUN
from modelog_registry.read.words.texts import Words

ATTRIBUTES: dict[str, type] = {
    "run_id": str,
    "run_name": str,
    "status": str,
    "user": str,
    "start_time": float,
    "end_time": float,
    "parent_run_id": str,
}
COLUMNS = {
    "run_id": "run_id",
    "run_name": "name",
    "status": "status",
    "user": "author",
    "start_time": "started_us",
    "end_time": "ended_us",
    "parent_run_id": "parent_run_id",
}
KINDS = {pb.FIELD_METRIC: METRIC, pb.FIELD_PARAMETER: PARAMETER, pb.FIELD_TAG: TAG, pb.FIELD_DATASET: DATASET}
INDEXED = (pb.FIELD_METRIC, pb.FIELD_PARAMETER, pb.FIELD_TAG)
# A condition that no more runs meet, or so many for each that is asked for, is where the search starts: in order, one
# looks at all runs until enough are found.
FEW, FEW_EACH = 1000, 5
# Conditions that an index answers.
SHARP = (
    pb.COMPARISON_EQUAL,
    pb.COMPARISON_LESS,
    pb.COMPARISON_LESS_OR_EQUAL,
    pb.COMPARISON_GREATER,
    pb.COMPARISON_GREATER_OR_EQUAL,
    pb.COMPARISON_IN,
)


def check_search(request: experiment_pb2.SearchRunsRequest) -> None:
    """Raises Invalid, naming the field, for a search that makes no sense."""
    check(request.conditions, request.order_by, ATTRIBUTES, [pb.FIELD_ATTRIBUTE, *KINDS])


async def search_runs(
    queries: Queries,
    words: Words,
    request: experiment_pb2.SearchRunsRequest,
    tenant: str,
    message: type[Message],
) -> Found[Message]:
    """One page of the runs, each read into `message`, without points."""
    check_search(request)

    async def ids_at(at: int, offset: int, limit: int) -> Sequence[str]:
        rows = await queries.rows_of(RUNS, tenant, at)
        if request.text:
            best = await words(tenant, request.text, RUN, at)
            asked = _Asked(request, tenant, at, queries.dialect, [*rows, RUNS.table.c.run_id.in_(best)])
            if request.order_by:
                return [row.run_id for row in await queries.fetch(asked.of_all().limit(limit).offset(offset))]
            met = {row.run_id for row in await queries.fetch(asked.of_all())}
            return [run_id for run_id in best if run_id in met][offset : offset + limit]
        asked = _Asked(request, tenant, at, queries.dialect, rows)
        few = await _from_few(queries, asked, max(FEW, FEW_EACH * limit))
        ordered = asked.in_order_of_values() if few is None else None
        if ordered is not None:
            found = await queries.fetch(ordered.limit(limit).offset(offset))
            # In the order's own index stand only the runs that have a value: the others come after them.
            if len(found) == limit:
                return [row.run_id for row in found]
        whole = asked.of_all() if few is None else few
        return [row.run_id for row in await queries.fetch(whole.limit(limit).offset(offset))]

    return await queries.search(RUNS, message, request.read, tenant, request.page, ids_at)


async def _from_few(queries: Queries, asked: _Asked, few: int) -> Select[Any] | None:
    """The search that starts at the condition which fewest runs meet; None when all are met by more than `few`."""
    fewest, start = few + 1, None
    for condition in asked.sharp:
        values = RUN_VALUES.named("few")
        # Nothing but what the index holds is asked for.
        met = select(literal(1)).where(asked.meets(values, condition), asked.placed(values)).limit(fewest)
        (row,) = await queries.fetch(select(func.count()).select_from(met.subquery()))
        if row[0] < fewest:
            fewest, start = row[0], condition
    return None if start is None else asked.starting_at(start)


@dataclass(frozen=True)
class _Asked:
    """A search as of a position, and the statements that answer it."""

    request: experiment_pb2.SearchRunsRequest
    tenant: str
    at: int
    dialect: str
    # What runs must be to be found at all.
    rows: Sequence[ColumnElement[bool]]

    @property
    def sharp(self) -> list[pb.Condition]:
        return [c for c in self.request.conditions if c.field in INDEXED and c.comparison in SHARP]

    def placed(self, values: TemporalTable) -> ColumnElement[bool]:
        """Rows of the tenant, as of the position, in the experiments that are asked about."""
        where = and_(values.table.c.tenant == self.tenant, values.at(self.at))
        ids = list(self.request.experiment_ids)
        return and_(where, _one_of(values.table.c.experiment_id, ids)) if ids else where

    def meets(self, values: TemporalTable, condition: pb.Condition) -> ColumnElement[bool]:
        """Rows of values that meet a condition."""
        c = values.table.c
        field = c.field == field_of(KINDS[condition.field], condition.key)
        if condition.comparison in (pb.COMPARISON_IS_NULL, pb.COMPARISON_IS_NOT_NULL):
            return field
        if condition.field == pb.FIELD_METRIC:
            return and_(field, number_condition(c.number, condition))
        return and_(field, text_condition(c.text, condition, self.dialect, beginning=c.word))

    def of_all(self) -> Select[Any]:
        """Every run is looked at, newest first if no order is asked for."""
        ids = list(self.request.experiment_ids)
        where = [_one_of(RUNS.table.c.experiment_id, ids)] if ids else []
        return self._select(RUNS.table, [*where, *self._runs(self.request.conditions)])

    def starting_at(self, condition: pb.Condition) -> Select[Any]:
        """The runs that meet one condition are looked at."""
        values = RUN_VALUES.named("start")
        others = [c for c in self.request.conditions if c is not condition]
        joined = values.table.join(RUNS.table, values.table.c.run_id == RUNS.table.c.run_id)
        return self._select(joined, [self.meets(values, condition), self.placed(values), *self._runs(others)])

    def in_order_of_values(self) -> Select[Any] | None:
        """The values that the order is about are looked at, in order; None when it is not about values."""
        orders = self.request.order_by
        if not orders or orders[0].field not in KINDS or len(self.request.experiment_ids) != 1:
            return None
        values = RUN_VALUES.named("first")
        c = values.table.c
        by = [c.number] if orders[0].field == pb.FIELD_METRIC else [c.word, c.text]
        joined = values.table.join(RUNS.table, c.run_id == RUNS.table.c.run_id)
        field = c.field == field_of(KINDS[orders[0].field], orders[0].key)
        where = [field, by[0].is_not(None), self.placed(values), *self._runs(self.request.conditions)]
        first = [column.desc() if orders[0].descending else column for column in by]
        return self._select(joined, where, first)

    def _runs(self, conditions: Sequence[pb.Condition]) -> list[ColumnElement[bool]]:
        """Runs of the tenant, as of the position, in the view, that meet conditions."""
        where = list(self.rows)
        if self.request.view != pb.VIEW_ALL:
            # Whoever names experiments sees what is in them, deleted or not.
            hidden = RUNS.table.c.hidden == 1
            if not self.request.experiment_ids:
                hidden = or_(hidden, in_a_deleted_experiment(self.tenant, self.at))
            where.append(hidden if self.request.view == pb.VIEW_DELETED else not_(hidden))
        return [*where, *(self._met(n, condition) for n, condition in enumerate(conditions))]

    def _met(self, n: int, condition: pb.Condition) -> ColumnElement[bool]:
        if condition.field == pb.FIELD_ATTRIBUTE:
            return self._attribute(condition)
        values = RUN_VALUES.named(f"c{n}")
        rows = select(values.table.c.run_id).where(self._of_run(values, condition), self.meets(values, condition))
        met = exists(rows.correlate(RUNS.table))
        return ~met if condition.comparison == pb.COMPARISON_IS_NULL else met

    def _attribute(self, condition: pb.Condition) -> ColumnElement[bool]:
        column = RUNS.table.c[COLUMNS[condition.key]]
        if condition.comparison in (pb.COMPARISON_IS_NULL, pb.COMPARISON_IS_NOT_NULL):
            return nothing_is(column, condition)
        if is_number(condition, ATTRIBUTES):
            return time_condition(column, condition)
        return text_condition(column, condition, self.dialect)

    def _select(
        self, source: FromClause, where: Sequence[ColumnElement[bool]], first: Sequence[ColumnElement[Any]] = ()
    ) -> Select[Any]:
        """The ids in the order that is asked for; `first` stands for its first key where an index has that."""
        runs, keys = RUNS.table.c, list(first)
        for n, order in enumerate(self.request.order_by):
            if n == 0 and first:
                continue
            if order.field == pb.FIELD_ATTRIBUTE:
                key = runs[COLUMNS[order.key]]
            else:
                values = RUN_VALUES.named(f"o{n}")
                source = source.outerjoin(values.table, self._of_run(values, order))
                key = values.table.c.number if order.field == pb.FIELD_METRIC else values.table.c.text
            # What cannot lack a value is left to its index.
            keys += [key.is_(None)] if key.nullable else []
            keys.append(key.desc() if order.descending else key)
        newest = (runs.started_us.desc(), runs.run_id)
        return select(runs.run_id).select_from(source).where(*where).order_by(*keys, *newest)

    def _of_run(self, values: TemporalTable, asked: pb.Condition | pb.Order) -> ColumnElement[bool]:
        """The rows of a run that a condition or an order is about: one, if it is not about datasets."""
        c = values.table.c
        of_run = and_(c.tenant == self.tenant, values.at(self.at), c.run_id == RUNS.table.c.run_id)
        return of_run if asked.field == pb.FIELD_DATASET else and_(of_run, c.entry == _entry(asked))


def in_a_deleted_experiment(tenant: str, at: int | None) -> ColumnElement[bool]:
    """Of a run: it is hidden with its experiment, where runs of all experiments are looked at."""
    e = EXPERIMENTS.table.c
    deleted = select(e.experiment_id).where(e.tenant == tenant, EXPERIMENTS.at(at), e.hidden == 1)
    return RUNS.table.c.experiment_id.in_(deleted)


def _entry(asked: pb.Condition | pb.Order) -> str:
    return f"{field_of(KINDS[asked.field], asked.key)}.0"


def _one_of(column: ColumnElement[str], ids: list[str]) -> ColumnElement[bool]:
    return column == ids[0] if len(ids) == 1 else column.in_(ids)
