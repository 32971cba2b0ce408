"""Looks at running A/B tests: counts the outcomes that are due, in the order of event time, each once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.events.store import EventStore

from modelog_monitoring.abtest.commands import AbTestCommand, ConcludeAbTest, RecordLook, StopAbTest
from modelog_monitoring.abtest.events import AbPlan, AbTestEvent, AbTestStarted
from modelog_monitoring.abtest.state import AbPhase, AbTest
from modelog_monitoring.data.rows import Rows, Span, read_rows, to_micros, to_moment
from modelog_monitoring.data.store import Flow, Kind, WindowStore
from modelog_monitoring.peers import Serving
from modelog_monitoring.react.attempts import Attempts
from modelog_monitoring.react.bell import Bell
from modelog_monitoring.react.catalog import Catalog, Owned

ACTOR = "service:monitoring"
# A look is an event: about so many until the test has seen what it needs, and fewer and fewer later.
LOOKS = 100
FEWEST_ROWS = 20
log = structlog.get_logger()


@dataclass(frozen=True)
class _Waiting:
    """A look that found too few outcomes: up to when, and how many are missing."""

    until_us: int
    missing: int


class AbWatch:
    """Watches the tests of all tenants; `run` it as a task of its own and ring `bell` when something came."""

    def __init__(
        self,
        tests: Entities[AbTest, AbTestCommand, AbTestEvent],
        catalog: Catalog,
        data: WindowStore,
        serving: Serving,
        store: EventStore,
        clock: Clock,
    ) -> None:
        self._tests, self._catalog, self._data, self._serving = tests, catalog, data, serving
        self._store, self._clock = store, clock
        self._waiting: dict[str, _Waiting] = {}
        self.bell = Bell()

    async def run(self) -> None:
        """Watch until cancelled. A test that cannot be looked at is tried again; the others go on."""
        attempts = Attempts(asyncio.get_running_loop().time)
        while True:
            began = self._clock.now()
            for owned in self._catalog.ab_tests:
                if owned.state.phase is AbPhase.RUNNING:
                    look, told = partial(self.look, owned), log.bind(test=owned.id)
                    await attempts.attempt(owned.id, look, told, "A/B test was not looked at")
            waits = [wait for wait in (attempts.next_s(), self._next_end_s(began)) if wait is not None]
            await self.bell.wait(min(waits, default=None))

    def _next_end_s(self, after: datetime) -> float | None:
        """Seconds from this moment until the first running test's time is over that was not over then."""
        running = [owned.state.started for owned in self._catalog.ab_tests if owned.state.phase is AbPhase.RUNNING]
        ends = [(s.ends_by - after).total_seconds() for s in running if s is not None and s.ends_by is not None]
        return min((wait for wait in ends if wait > 0), default=None)

    async def look(self, owned: Owned[AbTest]) -> None:
        """Count what is due, if it is enough for a look, or the test's time is over and this is its last."""
        test = (await self._tests.current(owned.id)).state
        started = test.started
        if started is None or test.phase is not AbPhase.RUNNING:
            return
        over = started.ends_by is not None and started.ends_by <= self._clock.now()
        rows = await asyncio.to_thread(self._rows, owned, test, started, last=over)
        if rows is not None and not await self._count(owned, test, started, rows):
            return
        if over:
            ctx = Context(self._clock.now(), ACTOR, owned.tenant, derived_id("ab end", owned.id))
            await self._tests.handle(owned.id, ConcludeAbTest(), ctx)

    async def _count(self, owned: Owned[AbTest], test: AbTest, started: AbTestStarted, rows: tuple[Span, Rows]) -> bool:
        """Count these rows in; False when they no longer belong to the test, which is stopped then."""
        plan, (span, counted) = test.definition.plan, rows
        number = 1 if test.looked is None else test.looked.number + 1
        ended = await self._why_ended(plan, started)
        if ended:
            await self._tests.handle(owned.id, StopAbTest(ended), self._ctx(owned, number))
            return False
        command = await asyncio.to_thread(_look, test, started, span, counted)
        await self._tests.handle(owned.id, command, self._ctx(owned, number))
        return True

    def _rows(
        self, owned: Owned[AbTest], test: AbTest, started: AbTestStarted, *, last: bool
    ) -> tuple[Span, Rows] | None:
        """The rows of both versions whose outcomes are due and were not counted yet; None while they are too few.

        For the last look one is enough.
        """
        plan = test.definition.plan
        flow = Flow(Kind.PREDICTIONS, plan.deployment, owned.tenant)
        span = _span(self._data, flow, test, started)
        if span is None:
            return None
        seen = 0 if test.looked is None else test.looked.figures.events_a + test.looked.figures.events_b
        wanted = 1 if last else max(FEWEST_ROWS, max(started.needed.watched, seen) // LOOKS)
        waiting = self._waiting.get(owned.id, _Waiting(span.since_us, wanted))
        # Counting batches is cheap, looking for labels is not. Of a batch that was due in part the rest is new.
        new = sum(self._data.rows_between(flow, waiting.until_us, span.until_us, v) for v in (plan.a, plan.b))
        if (span.until_us <= waiting.until_us or new < waiting.missing) and not last:
            return None
        rows = read_rows(self._data, flow, span, ())
        which = [n for n, version in enumerate(rows.versions) if version in (plan.a, plan.b)]
        known = ~np.isnan(rows.outcome(amounts=plan.of_amounts))
        counted = rows.take(np.isin(rows.answered_by, which) & known)
        if len(counted) < wanted:
            self._waiting[owned.id] = _Waiting(span.until_us, wanted - len(counted))
            return None
        self._waiting.pop(owned.id, None)
        return span, counted

    async def _why_ended(self, plan: AbPlan, started: AbTestStarted) -> str:
        """Why the rows that were read no longer belong to the test; "" when they do.

        It is asked after they were read, of a table that covers the log as it is then: if the split is still the one
        that the test began with, all of them were answered under it.
        """
        head = await self._store.head()
        try:
            deployment = await self._serving.deployment(plan.deployment, at_least=head)
        except NotFound:
            return f"there is no deployment {plan.deployment!r} any more"
        if deployment.position == started.split_position:
            return ""
        percents = ", ".join(f"{v.version} {v.percent:g} %" for v in deployment.variants)
        return (
            f"{plan.deployment} was changed at position {deployment.position} ({percents}): what was answered since "
            "is no random part of the same traffic. Outcomes up to then were counted; plan another test"
        )

    def _ctx(self, owned: Owned[AbTest], number: int) -> Context:
        return Context(self._clock.now(), ACTOR, owned.tenant, derived_id("ab look", owned.id, str(number)))


def _span(data: WindowStore, flow: Flow, test: AbTest, started: AbTestStarted) -> Span | None:
    """From where the last look ended up to where every prediction is here and its outcome has had its time."""
    lateness_us = round(test.definition.plan.allowed_lateness_s * 1_000_000)
    predictions_us = data.watermark(flow)
    outcomes_us = data.watermark(Flow(Kind.OUTCOMES, flow.deployment, flow.tenant))
    if predictions_us is None or outcomes_us is None:
        return None
    until_us = to_micros(to_moment(min(predictions_us, outcomes_us - lateness_us)))
    since_us = to_micros(started.since if test.looked is None else test.looked.until)
    if until_us <= since_us:
        return None
    return Span(since_us, until_us, until_us + lateness_us, to_micros(started.split_at))


def _look(test: AbTest, started: AbTestStarted, span: Span, rows: Rows) -> RecordLook | StopAbTest:
    # Imported when it is needed: scipy takes longer to import than all the rest, and a restart must not wait.
    from modelog_stats.checks import BadInput

    from modelog_monitoring.stats.ab import looked, values_of

    plan = test.definition.plan
    values = values_of(plan, rows.scores.astype(np.float64), rows.outcome(amounts=plan.of_amounts))
    in_b = np.asarray([version == plan.b for version in rows.versions])[rows.answered_by]
    before = None if test.looked is None else test.looked.state
    try:
        figures, state = looked(plan, started.share_b, started.needed.watched, before, in_b, values)
    except BadInput as error:
        return StopAbTest(f"what was predicted cannot be counted as {plan.metric}: {error}")
    return RecordLook(to_moment(span.until_us), figures, state)
