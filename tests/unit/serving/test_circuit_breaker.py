"""When a circuit breaker opens, tries and closes, and how many retries a budget gives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_serving.deployment.resilience import Breaker, Retries
from modelog_serving.routing.breaker import RETRY_WINDOW_S, Budget, CircuitBreaker, Counts, Pass, State, Window

SETTING = Breaker(failure_share=0.5, window_s=10, min_requests=4, open_s=5, probes=2)


class Version:
    """Attempts of a version, one after the other."""

    def __init__(self, setting: Breaker = SETTING) -> None:
        self.now_s, self.counts = 100.0, Counts(7, 3, 0)
        self.breaker = CircuitBreaker(setting, self.now_s, self.counts)

    def admit(self) -> Pass | None:
        return self.breaker.admit(self.now_s)

    def answers(self, requests: int = 1) -> None:
        for _ in range(requests):
            passed = self.admit()
            assert passed is not None
            self.counts = self.counts._replace(answered=self.counts.answered + 1)
            self.breaker.passed(passed)

    def fails(self, given: Pass | None = None) -> Counts | None:
        passed = given or self.admit()
        assert passed is not None
        self.counts = self.counts._replace(failed=self.counts.failed + 1)
        return self.breaker.failed(passed, self.now_s, self.counts)

    def waits(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1
            self.breaker.look(self.now_s, self.counts)


def opened() -> Version:
    version = Version()
    for _ in range(4):
        version.fails()
    assert version.breaker.state is State.OPEN
    return version


def test_it_opens_at_the_share_and_not_before_there_were_enough_requests() -> None:
    version = Version()
    assert [version.fails() for _ in range(3)] == [None] * 3
    version.answers(3)
    assert version.breaker.state is State.CLOSED
    # 4 of 7, of what came since it was made.
    assert version.fails() == Counts(3, 4, 0)
    assert version.breaker.state is State.OPEN
    assert version.admit() is None
    assert version.breaker.again_in_s(version.now_s) == 5


def test_what_failed_long_ago_does_not_count() -> None:
    version = Version()
    for _ in range(3):
        version.fails()
    version.waits(11)
    assert [version.fails() for _ in range(3)] == [None] * 3
    assert version.fails() == Counts(0, 4, 0)


def test_probes_are_few_at_a_time_and_close_it_when_all_are_answered() -> None:
    version = opened()
    version.waits(5)
    first, second = version.admit(), version.admit()
    assert first is not None
    assert second is not None
    assert version.breaker.state is State.HALF_OPEN
    assert version.admit() is None
    assert not version.breaker.passed(first)
    # The one that passed is not made good for by another.
    assert version.admit() is None
    assert version.breaker.passed(second)
    assert version.breaker.state is State.CLOSED


def test_a_probe_that_fails_opens_it_again_which_is_no_news() -> None:
    version = opened()
    version.waits(5)
    assert version.fails() is None
    assert version.breaker.state is State.OPEN
    version.waits(4)
    assert version.admit() is None
    version.waits(1)
    assert version.admit() is not None


def test_a_probe_that_says_nothing_gives_its_place_back() -> None:
    version = opened()
    version.waits(5)
    passes = [version.admit(), version.admit()]
    assert passes[0] is not None
    version.breaker.left(passes[0])
    assert version.admit() is not None
    assert version.admit() is None


def test_what_began_before_it_opened_or_in_an_earlier_trial_is_no_probe() -> None:
    version = Version()
    early = version.admit()
    assert early is not None
    for _ in range(4):
        version.fails()
    version.waits(5)
    probe = version.admit()
    assert probe is not None
    assert not version.breaker.passed(early)
    assert version.fails(early) is None
    assert version.breaker.state is State.HALF_OPEN
    version.fails(probe)
    version.waits(5)
    assert version.admit() is not None
    assert not version.breaker.passed(probe)
    assert version.breaker.state is State.HALF_OPEN


def test_after_it_closed_old_failures_are_forgotten() -> None:
    version = opened()
    version.waits(5)
    version.answers(2)
    version.breaker.begin(version.now_s, version.counts)
    assert [version.fails() for _ in range(3)] == [None] * 3


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200))
def test_a_window_holds_a_bounded_memory_and_never_less_than_its_span(answers: list[int]) -> None:
    window, total, at = Window(10.0, 0.0, Counts()), 0, [0]
    for second, more in enumerate(answers, 1):
        total += more
        at.append(total)
        seen = window.look(float(second), Counts(total))
        assert total - at[max(0, second - 11)] >= seen.answered >= total - at[max(0, second - 10)]
        assert len(window._marks) <= 22


@pytest.mark.parametrize(("budget", "least"), [(0.2, 0), (0.2, 3), (0.0, 0), (1.0, 0)])
def test_retries_of_a_total_failure_are_at_most_the_share(budget: float, least: int) -> None:
    counts = Counts()
    retries = Budget(Retries(3, budget, least), 0.0, counts)
    told: list[Counts] = []
    for number in range(1000):
        now_s = number / 100
        counts = counts._replace(failed=counts.failed + 1)
        while retries.allows(now_s, counts):
            counts = counts._replace(failed=counts.failed + 1, retried=counts.retried + 1)
        told.append(counts)
    assert all(c.retried <= max(least, budget * (c.failed - c.retried)) for c in told)
    assert counts.retried == max(least, int(budget * 1000))
    assert all(after.retried >= before.retried for before, after in pairwise(told))


def test_a_budget_comes_back_as_time_goes_by() -> None:
    retries, counts = Budget(Retries(2, 0.0, 1), 0.0, Counts()), Counts(0, 1, 0)
    assert retries.allows(0.0, counts)
    counts = Counts(0, 2, 1)
    assert not retries.allows(1.0, counts)
    for second in range(2, RETRY_WINDOW_S + 3):
        retries.look(float(second), counts)
    assert retries.allows(RETRY_WINDOW_S + 3.0, counts)
