"""An A/B test whose time is over: a last look at whatever is due, however little, and the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from data_plane import HERE, outcomes, predictions, stored, us
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.context import Context
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_monitoring.abtest.commands import CreateAbTest, Split, StartAbTest
from modelog_monitoring.abtest.decide import AB_TEST, NOTHING
from modelog_monitoring.abtest.events import AbMethod, AbMetric, AbPlan, SampleSize, Verdict
from modelog_monitoring.abtest.state import AbPhase, AbTest
from modelog_monitoring.data.rows import to_moment
from modelog_monitoring.data.store import WindowStore
from modelog_monitoring.events import EVENTS
from modelog_monitoring.react.ab_watch import AbWatch
from modelog_monitoring.react.catalog import Catalog
from modelog_proto.serving.v1 import deployment_pb2

HOUR = timedelta(hours=1)
PLAN = AbPlan(
    "flights", "1.0.0", "1.1.0", AbMetric.AMOUNT, 0.5, False, 0.5, 0.05, 0.8, 0.0, 1.0,
    AbMethod.CONFIDENCE_SEQUENCE, 0.0, longest_s=HOUR.total_seconds(),
)  # fmt: skip
NEEDED = SampleSize(100, 100, 4_000)


class StillServing:
    """A deployment that was changed last at a position."""

    position = 1

    async def deployment(self, name: str, *, at_least: int = 0) -> deployment_pb2.Deployment:
        return deployment_pb2.Deployment(name=name, position=self.position)


@dataclass
class Watched:
    """One running test, which may run for an hour."""

    tests: Any
    watch: AbWatch
    catalog: Catalog
    clock: ManualClock
    serving: StillServing

    async def look(self) -> AbTest:
        await self.catalog.refresh()
        (owned,) = self.catalog.ab_tests
        await self.watch.look(owned)
        return (await self.tests.current("t")).state


@pytest.fixture
async def watched(store: WindowStore, tmp_path: Path) -> AsyncIterator[Watched]:
    clock, serving = ManualClock(), StillServing()
    log = await SqliteEventStore.open(tmp_path / "events.db", clock)
    tests, catalog = Entities(log, AB_TEST, EVENTS), Catalog(log)
    commands = (
        CreateAbTest("newer", "flight-delay", PLAN, 0.5, NEEDED),
        StartAbTest(Split(0.5, NEEDED, to_moment(0), serving.position), to_moment(us(0))),
    )
    for number, command in enumerate(commands):
        await tests.handle("t", command, Context(clock.now(), "alice", "acme", f"request-{number}"))
    watch: Any = AbWatch(tests, catalog, store, serving, log, clock)  # type: ignore[arg-type]
    yield Watched(tests, watch, catalog, clock, serving)
    await log.close()


def ten_rows(store: WindowStore) -> None:
    ids, seconds = [f"p{n}" for n in range(10)], [float(n) for n in range(10)]
    asked = predictions(ids, seconds, versions=["1.0.0", "1.1.0"] * 5, watermark=10)
    asked.answered_at_us = us(0)
    store.add([stored(asked)], HERE)
    store.add([stored(outcomes(ids, [], seconds, amounts=[1.0, 3.0] * 5, watermark=20))], HERE)


async def test_few_outcomes_wait_for_more_until_the_time_is_over_and_count_then(
    watched: Watched, store: WindowStore
) -> None:
    ten_rows(store)
    assert (await watched.look()).looked is None
    watched.clock.advance(HOUR - timedelta(microseconds=1))
    assert (await watched.look()).phase is AbPhase.RUNNING
    watched.clock.advance(timedelta(microseconds=1))
    test = await watched.look()
    assert test.looked is not None
    assert (test.looked.number, test.looked.figures.events_a, test.looked.figures.events_b) == (1, 5, 5)
    assert (test.looked.figures.mean_a, test.looked.figures.mean_b) == (1.0, 3.0)
    assert test.decided is not None
    assert (test.decided.verdict, test.decided.evidence) == (Verdict.INCONCLUSIVE, test.looked.figures)
    assert await watched.look() == test


async def test_the_rest_of_a_batch_that_was_due_in_part_is_looked_at_without_another_batch(
    watched: Watched, store: WindowStore
) -> None:
    ids, seconds = [f"p{n}" for n in range(100)], [float(n) for n in range(100)]
    asked = predictions(ids, seconds, versions=["1.0.0", "1.1.0"] * 50, watermark=100)
    asked.answered_at_us = us(0)
    store.add([stored(asked)], HERE)
    store.add([stored(outcomes(ids, [], seconds, amounts=[1.0, 3.0] * 50, watermark=21))], HERE)
    assert (await watched.look()).looked is None
    store.add([stored(outcomes([], [], [], sequence=2, watermark=101))], HERE)
    looked = (await watched.look()).looked
    assert looked is not None
    assert (looked.figures.events_a, looked.figures.events_b) == (50, 50)


async def test_without_an_outcome_it_ends_all_the_same(watched: Watched) -> None:
    watched.clock.advance(2 * HOUR)
    test = await watched.look()
    assert test.looked is None
    assert test.decided is not None
    assert (test.decided.verdict, test.decided.evidence) == (Verdict.INCONCLUSIVE, NOTHING)


async def test_outcomes_of_another_split_are_not_counted_at_the_end_either(
    watched: Watched, store: WindowStore
) -> None:
    ten_rows(store)
    watched.serving.position = 2
    watched.clock.advance(HOUR)
    test = await watched.look()
    assert (test.phase, test.looked) == (AbPhase.STOPPED, None)
