"""Versions that fail are tried again within a budget, in time, and not at all; what succeeds elsewhere counts too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import numpy as np
import pytest
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Invalid, ModelogError, NotAllowed, Overloaded, Unavailable
from modelog_common.rpc.call import Call, calling
from modelog_common.security.tokens import ANONYMOUS
from modelog_common.telemetry import metrics
from modelog_common.testing.scenario import NOW
from modelog_serving.deployment.resilience import Breaker, Resilience, Retries
from modelog_serving.deployment.state import RUNNING, Deployment, Variant
from modelog_serving.engine.failed import DIED, ModelDied, ModelFailed
from modelog_serving.failure.commands import RecordClosed, RecordOpened
from modelog_serving.routing.breaker import State
from modelog_serving.routing.guards import Computed, Guards, NotAsked, TookTooLong
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route
from opentelemetry import metrics as opentelemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

FOUND = Computed(np.zeros((1, 1), np.float32), False, None)
DIES = ModelDied(DIED, "the model's process died")
BREAKER = Breaker(0.5, 10, 4, 5, 1)


def route_of(resilience: Resilience | None) -> Route:
    variant = Variant("1.0.0", 100.0, "a" * 64, "xgboost")
    deployment = Deployment(id="d", name="flights", model="delay", status=RUNNING, variants=(variant,))
    return Route("acme", replace(deployment, resilience=resilience), {"1.0.0": variant})


@dataclass
class Rig:
    """Asks a version that answers in the ways that are given, in order, and then in the last of them."""

    setting: Resilience
    now_s: float = 0.0
    told: list[Any] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        clock = ManualClock(NOW)
        self.route, self.meter = route_of(self.setting), Meter(clock, timedelta(minutes=1), lambda: self.now_s)
        self.guards = Guards(self.meter, lambda _tenant, command: self.told.append(command), clock, lambda: self.now_s)
        self.guards.look([self.route])

    async def ask(self, *ways: Exception | Computed) -> Computed:
        made = iter(range(1000))

        async def attempt() -> Computed:
            self.asked += 1
            way = ways[min(next(made), len(ways) - 1)]
            if isinstance(way, Exception):
                raise way
            return way

        with self.meter.measuring(self.route, "1.0.0"):
            return await self.guards.answer(self.route, "1.0.0", attempt)

    async def refused(self, error: Exception) -> None:
        with pytest.raises(type(error)):
            await self.ask(error)

    @property
    def state(self) -> State:
        (seen,) = self.guards.breakers(self.route)
        return seen.state


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelog_serving.routing.guards.PAUSE_S", 0.0)
    monkeypatch.setattr("modelog_serving.routing.guards.LONGEST_PAUSE_S", 0.0)


async def test_under_total_failure_a_version_is_asked_at_most_the_share_more_often() -> None:
    rig = Rig(Resilience(retries=Retries(3, 0.2, 0)))
    for _ in range(200):
        await rig.refused(DIES)
    assert rig.asked == 240
    assert rig.guards.retried("acme", "flights") == 40
    # Of what comes later, too: the window slides, and the share stays.
    for second in range(100):
        rig.now_s = float(second)
        for _ in range(5):
            await rig.refused(DIES)
        rig.guards.look([rig.route])
    assert rig.asked <= 240 + 500 * 1.2


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (DIES, 3),
        (Unavailable("the registry does not answer"), 3),
        (ModelFailed("the model failed: KeyError"), 1),
        (NotAllowed("the file was damaged"), 1),
        (Invalid.field("inputs", "is wrong"), 1),
        (Overloaded("too much"), 1),
        (ValueError("of a library"), 1),
    ],
)
async def test_only_what_may_pass_is_tried_again(error: Exception, attempts: int) -> None:
    rig = Rig(Resilience(retries=Retries(3, 1.0, 100)))
    await rig.refused(error)
    assert rig.asked == attempts


async def test_what_passed_is_the_answer_and_counts_as_one_that_was_given() -> None:
    rig = Rig(Resilience(BREAKER, Retries(2, 0.0, 1)))
    assert await rig.ask(DIES, FOUND) is FOUND
    total = rig.meter.total("acme", "flights", "1.0.0")
    assert (rig.asked, total.answered, total.failed) == (2, 1, 0)
    assert rig.state is State.CLOSED


@pytest.mark.parametrize("error", [Invalid.field("inputs", "is wrong"), Overloaded("too much")])
async def test_what_says_nothing_of_the_version_never_opens_its_breaker(error: ModelogError) -> None:
    rig = Rig(Resilience(BREAKER))
    for _ in range(50):
        await rig.refused(error)
    assert rig.state is State.CLOSED
    assert rig.guards.calm(rig.route)


async def test_answers_of_the_short_way_count_for_the_share() -> None:
    rig = Rig(Resilience(BREAKER))
    rig.meter.answered(rig.route, "1.0.0", 0.001, 5)
    for _ in range(4):
        await rig.refused(DIES)
    assert rig.state is State.CLOSED
    await rig.refused(DIES)
    assert rig.state is State.OPEN
    assert not rig.guards.calm(rig.route)
    (opened,) = rig.told
    assert isinstance(opened, RecordOpened)
    assert (opened.failures, opened.requests, opened.why) == (5, 10, "the model's process died")


async def test_an_open_breaker_asks_nobody_then_one_probe_without_retries_and_says_only_what_changed() -> None:
    rig = Rig(Resilience(BREAKER, Retries(3, 1.0, 100)))
    for _ in range(4):
        with pytest.raises(ModelDied):
            await rig.ask(DIES)
        if rig.state is State.OPEN:
            break
    asked = rig.asked
    with pytest.raises(NotAsked, match=r"1.0.0 is not asked: .*\(the model's process died\); it is tried in 5 s"):
        await rig.ask(FOUND)
    for _ in range(5):
        rig.now_s += 5
        await rig.refused(DIES)
    assert rig.asked == asked + 5
    rig.now_s += 5
    assert await rig.ask(FOUND) is FOUND
    assert rig.state is State.CLOSED
    assert [type(each) for each in rig.told] == [RecordOpened, RecordClosed]
    assert rig.told[1].open_s == 30.0


async def test_an_answer_that_was_kept_says_nothing_of_the_version() -> None:
    rig = Rig(Resilience(BREAKER))
    for _ in range(4):
        await rig.refused(DIES)
    rig.now_s += 5
    await rig.ask(replace(FOUND, cached=True))
    assert rig.state is State.HALF_OPEN
    await rig.ask(FOUND)
    assert rig.state is State.CLOSED


async def test_an_attempt_has_its_time_and_the_next_may_be_in_time() -> None:
    rig = Rig(Resilience(BREAKER, Retries(2, 0.0, 1), timeout_ms=20))
    assert not rig.guards.calm(rig.route)
    started = 0

    async def attempt() -> Computed:
        nonlocal started
        started += 1
        if started != 2:
            await asyncio.Event().wait()
        return FOUND

    assert await rig.guards.answer(rig.route, "1.0.0", attempt) is FOUND
    with pytest.raises(TookTooLong, match=r"version 1.0.0 took more than 20 ms"):
        await rig.guards.answer(rig.route, "1.0.0", attempt)


async def test_nothing_is_tried_again_when_the_callers_time_is_over() -> None:
    rig = Rig(Resilience(retries=Retries(3, 1.0, 100)))

    def late() -> Callable[[], Any]:
        async def attempt() -> Computed:
            rig.asked += 1
            rig.now_s += 0.6
            raise DIES

        return attempt

    with calling(Call(ANONYMOUS, "c", deadline_s=1.0)), pytest.raises(ModelDied):
        await rig.guards.answer(rig.route, "1.0.0", late())
    assert rig.asked == 2


async def test_a_breaker_that_is_set_anew_or_not_needed_any_more_is_closed_in_the_log() -> None:
    rig = Rig(Resilience(BREAKER))
    for _ in range(4):
        await rig.refused(DIES)
    rig.route = route_of(Resilience(replace_breaker(open_s=60)))
    rig.guards.look([rig.route])
    assert rig.state is State.CLOSED
    for _ in range(4):
        await rig.refused(DIES)
    rig.guards.look([route_of(None)])
    assert [type(each) for each in rig.told] == [RecordOpened, RecordClosed] * 2
    assert not list(rig.guards.states())


def replace_breaker(open_s: int) -> Breaker:
    return Breaker(BREAKER.failure_share, BREAKER.window_s, BREAKER.min_requests, open_s, BREAKER.probes)


async def test_a_caller_who_leaves_says_nothing_and_gives_a_probe_back() -> None:
    rig = Rig(Resilience(BREAKER))
    for _ in range(4):
        await rig.refused(DIES)
    rig.now_s += 5

    async def attempt() -> Computed:
        await asyncio.Event().wait()
        return FOUND

    leaving = asyncio.create_task(rig.guards.answer(rig.route, "1.0.0", attempt))
    await asyncio.sleep(0)
    assert rig.state is State.HALF_OPEN
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await rig.ask(FOUND) is FOUND
    assert [value for value, _ in rig.guards.states()] == [0.0]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """Reads what is counted from now on; counters are made anew for it and thrown away."""
    made = InMemoryMetricReader()
    monkeypatch.setattr(opentelemetry, "get_meter", MeterProvider([made]).get_meter)
    for counter in (metrics.retries, metrics.fallbacks):
        counter.cache_clear()
    yield made
    for counter in (metrics.retries, metrics.fallbacks):
        counter.cache_clear()


async def test_breakers_retries_and_fallbacks_are_metrics(reader: InMemoryMetricReader) -> None:
    rig = Rig(Resilience(BREAKER, Retries(2, 0.0, 1)))
    metrics.observe_all(metrics.BREAKER_STATE, "1", "how it stands", rig.guards.states)
    for _ in range(3):
        await rig.refused(DIES)
    rig.guards.fell_back(rig.route, "1.0.0", "failed")
    data = reader.get_metrics_data()
    assert data is not None
    found: dict[str, Any] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        (point,) = cast(Any, metric.data).data_points
        found[metric.name] = (point.value, dict(point.attributes))
    about = {"modelog.tenant": "acme", "modelog.deployment": "flights", "modelog.version": "1.0.0"}
    assert found == {
        "modelog.serving.breaker.state": (2.0, about),
        "modelog.serving.retries": (1, about),
        "modelog.serving.fallbacks": (1, about | {"modelog.reason": "failed"}),
    }
