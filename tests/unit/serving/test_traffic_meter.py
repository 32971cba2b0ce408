"""Traffic is measured in windows: every request once, by how long its answer took, whatever the clock does."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Invalid, NotFound, Unavailable
from modelog_serving.deployment.state import Deployment
from modelog_serving.routing.concurrency import LEAST_S, Concurrency
from modelog_serving.routing.meter import MOST_CLOSED, Meter
from modelog_serving.routing.routes import Route
from modelog_serving.traffic.latency import HIGHEST, LOWEST, Latencies, bucket_of, latencies_of, quantile_ms, upper_ms

MINUTE = timedelta(minutes=1)
START = datetime(2026, 1, 1, 9, 0, 30, tzinfo=UTC)
ROUTE = Route("acme", Deployment(id="d-1", name="flights", model="flight-delay"), {})


class Timer:
    """A timer that every request moves on by its latency."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Traffic:
    """Requests to a meter whose clock and timer stand still between them."""

    def __init__(self) -> None:
        self.clock, self.timer = ManualClock(START), Timer()
        self.meter = Meter(self.clock, MINUTE, self.timer)

    def ask(self, version: str = "1.0.0", *, ms: float = 2.0, error: Exception | None = None) -> None:
        with self.meter.measuring(ROUTE, version):
            self.timer.now_s += ms / 1000
            if error is not None:
                raise error


def test_a_window_holds_each_version_s_requests_errors_and_latencies() -> None:
    traffic = Traffic()
    traffic.ask(ms=2)
    traffic.ask(ms=4)
    traffic.ask("1.1.0", ms=1)
    for error in (Unavailable("the log is full"), NotFound("the model's file is gone"), RuntimeError("it broke")):
        with pytest.raises(type(error)):
            traffic.ask(error=error)
    assert not traffic.meter.closed(), "a window was told before it was over"
    traffic.clock.advance(MINUTE)
    (closed,) = traffic.meter.closed()
    window = closed.window
    assert (closed.tenant, window.deployment, window.model) == ("acme", "flights", "flight-delay")
    assert (window.start, window.end) == (START.replace(second=0), START.replace(second=0) + MINUTE)
    one, other = window.versions
    assert (one.version, one.requests, one.errors) == ("1.0.0", 5, 3)
    assert one.latencies == Latencies(8, (1, 0, 0, 0, 0, 0, 0, 0, 1))
    assert (other.version, other.requests, other.errors) == ("1.1.0", 1, 0)


def test_what_the_caller_did_wrong_is_not_counted() -> None:
    traffic = Traffic()
    with pytest.raises(Invalid):
        traffic.ask(error=Invalid("inputs: none"))
    assert not traffic.meter.closed(all_of_it=True)


def test_a_request_belongs_to_the_window_in_which_it_was_answered() -> None:
    traffic = Traffic()
    with traffic.meter.measuring(ROUTE, "1.0.0"):
        traffic.clock.advance(MINUTE)
    assert not traffic.meter.closed()
    traffic.clock.advance(MINUTE)
    (closed,) = traffic.meter.closed()
    assert closed.window.start == START.replace(second=0) + MINUTE


def test_a_clock_that_is_turned_back_goes_on_in_the_open_window() -> None:
    traffic = Traffic()
    traffic.ask()
    traffic.clock.advance(-5 * MINUTE)
    traffic.ask()
    (closed,) = traffic.meter.closed(all_of_it=True)
    assert closed.window.versions[0].requests == 2


def test_windows_that_cannot_be_told_are_bounded() -> None:
    traffic = Traffic()
    for _ in range(MOST_CLOSED + 3):
        traffic.ask()
        traffic.clock.advance(MINUTE)
    assert len(traffic.meter.closed()) == MOST_CLOSED
    assert traffic.meter.closed()[0].window.start == START.replace(second=0) + 3 * MINUTE


@given(st.floats(min_value=0.01, max_value=100_000))
def test_a_bucket_s_bounds_hold_its_latencies(ms: float) -> None:
    bucket = bucket_of(ms)
    assert LOWEST <= bucket <= HIGHEST
    assert 2 ** ((bucket - 1) / 8) < ms * (1 + 1e-9)
    assert ms <= 2 ** (bucket / 8) * (1 + 1e-9)


@pytest.mark.parametrize(("ms", "bucket"), [(0.0, LOWEST), (1e-9, LOWEST), (1e12, HIGHEST), (1.0, 0), (2.0, 8)])
def test_the_ends_take_what_is_beyond_them(ms: float, bucket: int) -> None:
    assert bucket_of(ms) == bucket


def test_no_answers_are_no_buckets() -> None:
    assert latencies_of({}) == Latencies()


def test_requests_under_way_are_the_seconds_that_they_took_in_each_second() -> None:
    traffic = Traffic()
    concurrency = Concurrency(traffic.meter.busy_s, traffic.timer)
    assert concurrency.mean() == 0
    for _ in range(8):
        traffic.ask(ms=1000)
    with pytest.raises(Unavailable):
        traffic.ask(ms=1000, error=Unavailable("away"))
    # Each of them alone: the timer moved on by 9 s, and one was under way all the time.
    assert concurrency.mean() == pytest.approx(1)
    traffic.timer.now_s += 1
    assert concurrency.mean() == pytest.approx(1), "too early for another look"
    traffic.timer.now_s += LEAST_S
    assert concurrency.mean() == 0


def test_the_95th_percentile_is_that_of_the_open_window_by_all_versions() -> None:
    traffic = Traffic()
    assert traffic.meter.p95_ms() is None
    for _ in range(94):
        traffic.ask(ms=1)
    for _ in range(6):
        traffic.ask("1.1.0", ms=64)
    assert traffic.meter.p95_ms() == pytest.approx(64, rel=0.1)
    traffic.clock.advance(MINUTE)
    traffic.meter.closed()
    assert traffic.meter.p95_ms() is None
    traffic.ask(ms=2)
    assert traffic.meter.p95_ms() == pytest.approx(2, rel=0.1)


@given(st.lists(st.floats(0.01, 100_000), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_the_bucket_of_the_answer_at_its_place(latencies_ms: list[float], share: float) -> None:
    buckets = Counter(bucket_of(ms) for ms in latencies_ms)
    place = max(1, math.ceil(share * len(latencies_ms) - 1e-9))
    assert quantile_ms(buckets, share) == upper_ms(bucket_of(sorted(latencies_ms)[place - 1]))


def test_there_is_no_quantile_without_an_answer() -> None:
    assert quantile_ms({}, 0.5) is None
    assert quantile_ms({3: 0}, 0.5) is None


def test_what_is_not_told_yet_is_of_the_open_window_and_of_those_that_wait() -> None:
    traffic = Traffic()
    traffic.ask(ms=2)
    traffic.clock.advance(MINUTE)
    traffic.ask(ms=4)
    traffic.ask("1.1.0", ms=1)
    waiting = traffic.meter.closed()
    untold = traffic.meter.untold("d-1")
    assert sorted((v.version, v.requests) for v in untold) == [("1.0.0", 1), ("1.0.0", 1), ("1.1.0", 1)]
    assert traffic.meter.untold("d-2") == []
    waiting.popleft()
    assert sorted((v.version, v.requests) for v in traffic.meter.untold("d-1")) == [("1.0.0", 1), ("1.1.0", 1)]
