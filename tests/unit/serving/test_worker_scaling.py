"""How many workers deployments want as load rises and falls, and who rests; the clock is the test's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from modelog_common.domain.clock import ManualClock
from modelog_serving.crew.autoscaler import Autoscaler
from modelog_serving.crew.scaling import Seen, Steering, wanted
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature
from modelog_serving.deployment.state import RUNNING, Deployment, Variant
from modelog_serving.engine.models import ModelRef
from modelog_serving.routing.idle import Idle, rest
from modelog_serving.routing.loads import QUANTILE
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route
from modelog_serving.traffic.latency import quantile_ms

BY_CONCURRENCY = Scaling(1, 6, target_concurrency=4, up_cooldown_s=0, down_cooldown_s=30)
BY_LATENCY = Scaling(2, 6, target_latency_ms=10)


@pytest.mark.parametrize(
    ("scaling", "seen", "workers", "expected"),
    [
        (BY_CONCURRENCY, Seen(0.0), 3, 1),
        (BY_CONCURRENCY, Seen(8.0), 1, 2),
        (BY_CONCURRENCY, Seen(8.1), 1, 3),
        (BY_CONCURRENCY, Seen(8.1), 2, 2),  # off by less than a tenth
        (BY_CONCURRENCY, Seen(4000.0), 1, 6),
        (BY_LATENCY, Seen(latency_ms=None), 4, 2),
        (BY_LATENCY, Seen(latency_ms=25.0), 2, 5),
        (BY_LATENCY, Seen(latency_ms=10.9), 3, 3),
        (BY_LATENCY, Seen(latency_ms=5.0), 6, 3),
        (Scaling(1, 6, target_concurrency=4, target_latency_ms=10), Seen(4.0, 40.0), 1, 4),
        (Scaling(3, 3), Seen(100.0, 100.0), 1, 3),
    ],
)
def test_what_is_wanted(scaling: Scaling, seen: Seen, workers: int, expected: int) -> None:
    assert wanted(scaling, seen, workers) == expected


def followed(scaling: Scaling, load: list[tuple[int, float]]) -> list[int]:
    """The workers at each second while so much is under way for so many seconds."""
    steering, workers, found, now_s = Steering(1, 0.0), 1, [], 0.0
    for seconds, concurrency in load:
        for _ in range(seconds):
            now_s += 1
            workers = steering.look(scaling, Seen(concurrency), workers, now_s)
            found.append(workers)
    return found


def test_a_load_that_rises_and_falls() -> None:
    found = followed(BY_CONCURRENCY, [(5, 2.0), (5, 16.0), (60, 2.0)])
    assert found[:5] == [1] * 5
    assert found[5:10] == [4] * 5, "more at once, without a cool-down"
    assert found[10:39] == [4] * 29, "fewer only when fewer were wanted for half a minute"
    assert found[-25:] == [1] * 25


def test_a_short_burst_adds_nothing_where_more_must_be_wanted_for_a_while() -> None:
    scaling = Scaling(1, 6, target_concurrency=4, up_cooldown_s=10, down_cooldown_s=0)
    assert set(followed(scaling, [(20, 2.0), (9, 24.0), (20, 2.0)])) == {1}
    risen = followed(scaling, [(20, 2.0), (12, 24.0), (3, 12.0), (1, 2.0)])
    assert risen[28] == 1
    assert risen[31] == 6
    assert risen[-1] == 1, "without a cool-down fewer at once"


def test_a_dip_takes_nothing_away() -> None:
    assert set(followed(BY_CONCURRENCY, [(40, 24.0), (20, 0.0), (20, 24.0)])) == {6}


def test_the_quantile_of_latencies() -> None:
    from collections import Counter

    assert quantile_ms(Counter(), QUANTILE) is None
    assert quantile_ms(Counter({8: 95, 24: 5}), QUANTILE) == 2.0
    assert quantile_ms(Counter({8: 94, 24: 6}), QUANTILE) == 8.0


class Timer:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Deployments:
    """Routes of deployments that the test makes."""

    def __init__(self, *routes: Route) -> None:
        self.routes, self.resting = list(routes), frozenset[str]()

    def running(self) -> list[Route]:
        return self.routes

    def rests(self, route: Route) -> bool:
        return route.deployment.id in self.resting

    def digests(self) -> set[str]:
        return {v.digest for r in self.routes if not self.rests(r) for v in r.needed}


class Crew:
    """Slots that nobody is in."""

    def __init__(self, most: int) -> None:
        self.slots, self.wanted = list(range(most)), most

    def have(self, workers: int) -> None:
        self.wanted = workers


class Memory:
    """Which models were let go of."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def drop(self, ref: ModelRef) -> None:
        self.dropped.append(ref.digest)


def route(name: str, digest: str, scaling: Scaling | None) -> Route:
    variant = Variant("1.0.0", 100.0, digest, "xgboost")
    deployment = Deployment(
        id=f"id-{name}", name=name, model="m", status=RUNNING, variants=(variant,), scaling=scaling,
        signature=Signature(),
    )  # fmt: skip
    return Route("acme", deployment, {"1.0.0": variant})


def test_the_crew_is_as_large_as_the_deployment_wants_that_wants_most() -> None:
    timer, crew = Timer(), Crew(4)
    one = route("one", "a", Scaling(1, 3, target_concurrency=2, down_cooldown_s=5))
    two, silent = route("two", "b", Scaling(1, 9, target_concurrency=1, down_cooldown_s=5)), route("silent", "c", None)
    routes, meter = Deployments(silent), Meter(ManualClock(), timedelta(minutes=1))
    scaler = Autoscaler(crew, routes, meter, timer)  # type: ignore[arg-type]

    def after(seconds: float, **busy_s: float) -> int:
        timer.now_s += seconds
        for of in (one, two):
            if of.deployment.name in busy_s:
                meter.answered(of, "1.0.0", busy_s[of.deployment.name])
        return scaler.look()

    assert after(1) == 4, "nobody says how many there should be"
    routes.routes += [one, two]
    after(1)
    assert [after(1) for _ in range(8)][-1] == crew.wanted == 1, "nothing was asked for the cool-down"
    assert after(1, one=6.0) == 3
    assert after(1, one=6.0, two=20.0) == 4, "no more than there may be"
    assert [after(1) for _ in range(8)][-1] == 1
    routes.routes = [silent]
    assert after(1) == 4


def test_who_is_asked_nothing_rests_until_a_request_comes() -> None:
    timer, models, told = Timer(), Memory(), list[set[str]]()
    idle_s = Scaling(scale_to_zero=True, idle_s=60)
    rests, shares, never = route("rests", "a", idle_s), route("shares", "b", idle_s), route("never", "b", Scaling())
    routes, meter = Deployments(rests, shares, never), Meter(ManualClock(), timedelta(minutes=1))
    idle = Idle(routes, models, meter, lambda resting: told.append(set(resting)), timer)  # type: ignore[arg-type]
    idle.look()
    timer.now_s += 59
    idle.look()
    assert told == []
    meter.answered(rests, "1.0.0", 0.01)
    timer.now_s += 1
    idle.look()
    assert told == [{"id-shares"}]
    assert models.dropped == [], "another deployment needs that model"
    timer.now_s += 60
    idle.look()
    assert told[-1] == {"id-shares", "id-rests"}
    assert models.dropped == ["a"]
    meter.answered(rests, "1.0.0", 0.01)
    idle.look()
    assert told[-1] == {"id-shares"}
    rest(routes, models, [])  # type: ignore[arg-type]
    assert routes.resting == frozenset()
    assert models.dropped == ["a"]
