"""Windows of traffic are held against targets, and alerts rise and end by burn rates over several windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.context import Context
from modelog_monitoring.level.commands import RecordTraffic, Requests
from modelog_monitoring.level.decide import RULES, burn_rate, decide, judged
from modelog_monitoring.level.events import (
    LevelBurning,
    LevelEvent,
    LevelMeasured,
    LevelMet,
    Objective,
    Severity,
    Tally,
    Targets,
)
from modelog_monitoring.level.latency import Latencies
from modelog_monitoring.level.state import LATEST, PERIOD, Level, evolve

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TARGETS = Targets(3, latency_p50_ms=4.0, latency_p99_ms=16.0, availability_percent=99.9)
A, B = "1.0.0", "1.1.0"
# 2 ms and 32 ms.
QUICK, SLOW = 8, 40


def requests(version: str = A, quick: int = 0, slow: int = 0, errors: int = 0) -> Requests:
    counts = [0] * (SLOW - QUICK + 1)
    counts[0], counts[-1] = quick, slow
    return Requests(version, quick + slow + errors, errors, Latencies(QUICK, tuple(counts)))


class Story:
    """Windows of one deployment, one after the other."""

    def __init__(self, targets: Targets = TARGETS) -> None:
        self.level, self.targets, self.told, self.at = Level(), targets, 0, START

    def window(self, *found: Requests, after: timedelta = MINUTE, told: int = 0) -> Sequence[LevelEvent]:
        """A minute's traffic, told `after` the one before; returns what follows."""
        self.at += after
        self.told = told or self.told + 1
        command = RecordTraffic("flights", "flight-delay", self.at, self.at + MINUTE, found, self.targets, self.told)
        events = decide(self.level, command, Context(self.at, "service:monitoring", "acme", f"r-{self.told}"))
        for event in events:
            self.level = evolve(self.level, event)
        return events

    def alerts(self, *found: Requests, after: timedelta = MINUTE) -> list[LevelBurning | LevelMet]:
        return [e for e in self.window(*found, after=after) if isinstance(e, LevelBurning | LevelMet)]


def test_a_window_is_held_against_every_target() -> None:
    (measured,) = Story().window(requests(quick=90, slow=2, errors=0), requests(B, quick=1))
    assert isinstance(measured, LevelMeasured)
    assert measured.targets == TARGETS
    one, other = measured.versions
    assert (one.version, other.version) == (A, B)
    assert one.tallies[Objective.AVAILABILITY].judged == 92
    assert one.tallies[Objective.AVAILABILITY].allowed == pytest.approx(0.092)
    assert one.tallies[Objective.LATENCY_P50] == Tally(92, 2, 46.0)
    assert one.tallies[Objective.LATENCY_P99].missed == 2


def test_what_is_not_promised_is_not_held_against_it() -> None:
    found = judged(requests(quick=1, slow=1, errors=1), Targets(1, availability_percent=99.0))
    assert set(found.tallies) == {Objective.AVAILABILITY}


def test_what_was_not_answered_has_no_latency() -> None:
    found = judged(requests(quick=1, errors=4), TARGETS)
    assert found.tallies[Objective.LATENCY_P99] == Tally(1, 0, 0.01)
    assert found.tallies[Objective.AVAILABILITY].missed == 4


def test_the_same_window_counts_once() -> None:
    story = Story()
    assert story.window(requests(quick=1))
    assert not story.window(requests(quick=1), told=story.told)


def test_windows_of_two_processes_add_up_and_one_that_comes_much_too_late_is_left_out() -> None:
    story = Story()
    story.window(requests(quick=1))
    story.window(requests(quick=2), after=timedelta())
    story.window(requests(quick=4), after=-MINUTE)
    version = story.level.versions[A]
    assert [slot.tallies[Objective.AVAILABILITY].judged for slot in version.minutes] == [4, 3]
    (hour,) = version.sums
    assert (hour.requests, hour.latencies.answers) == (7, 7)
    assert not story.window(requests(quick=1), after=-LATEST - MINUTE)


def test_errors_raise_one_alert_which_good_traffic_ends() -> None:
    story = Story()
    assert not story.alerts(requests(quick=1000))
    (burning,) = story.alerts(requests(quick=900, errors=100))
    assert isinstance(burning, LevelBurning)
    assert (burning.version, burning.objective, burning.severity) == (A, Objective.AVAILABILITY, Severity.PAGE)
    assert burning.text == (
        "flights: flight-delay 1.0.0 misses its availability target 50.0 times as fast as its error budget allows, "
        "over 1 hour and 5 minutes: 100 of 2,000 requests in 1 hour"
    )
    assert not story.alerts(requests(quick=900, errors=100)), "the same alert twice"
    # Five minutes later the fast rule is over, half an hour later the middle one, six hours later the slow one.
    assert not story.alerts(requests(quick=10), after=6 * MINUTE)
    assert not story.alerts(requests(quick=10), after=31 * MINUTE)
    (met,) = story.alerts(requests(quick=10), after=6 * HOUR)
    assert isinstance(met, LevelMet)
    assert met.ended == burning.alert_id
    assert met.text == (
        "flights: flight-delay 1.0.0 is within the error budget of its availability target again: "
        "0 of 10 requests missed it in the last hour"
    )
    (again,) = story.alerts(requests(errors=100))
    assert again.alert_id != burning.alert_id


def test_slow_answers_raise_an_alert_of_their_own() -> None:
    story = Story()
    alerts = story.alerts(requests(slow=100))
    assert {(a.objective, a.severity) for a in alerts if isinstance(a, LevelBurning)} == {
        (Objective.LATENCY_P99, Severity.PAGE),
        (Objective.LATENCY_P50, Severity.TICKET),
    }


def test_a_ticket_becomes_a_page_when_it_gets_worse() -> None:
    story = Story()
    (ticket,) = story.alerts(requests(quick=9980, errors=20))
    assert isinstance(ticket, LevelBurning)
    assert ticket.severity is Severity.TICKET
    (page,) = story.alerts(requests(quick=1, errors=500))
    assert isinstance(page, LevelBurning)
    assert page.severity is Severity.PAGE
    assert story.level.versions[A].burning(Objective.AVAILABILITY) == page


def test_a_few_misses_are_no_alert() -> None:
    assert not Story().alerts(requests(quick=1, errors=4))


def test_where_no_miss_is_allowed_misses_are_an_alert() -> None:
    (burning,) = Story(Targets(1, availability_percent=100.0)).alerts(requests(quick=1000, errors=5))
    assert "misses its availability target though none may" in burning.text


def test_a_version_without_traffic_burns_no_more() -> None:
    story = Story()
    assert story.alerts(requests(A, errors=100), requests(B, quick=100))
    (met,) = story.alerts(requests(B, quick=100), after=7 * HOUR)
    assert isinstance(met, LevelMet)
    assert met.version == A
    assert met.text.endswith("again: no requests")


def test_what_is_older_than_the_period_is_forgotten() -> None:
    story = Story()
    story.window(requests(A, quick=10))
    story.window(requests(B, quick=10), after=PERIOD + 2 * HOUR)
    assert set(story.level.versions) == {B}
    assert story.level.versions[B].tally(Objective.AVAILABILITY, START).judged == 10


def test_a_period_of_traffic_is_kept_in_bounded_memory() -> None:
    story = Story()
    for _ in range(40 * 24):
        story.window(requests(quick=1), after=HOUR)
    version = story.level.versions[A]
    assert len(version.hours) <= PERIOD // HOUR + 1
    assert len(version.minutes) <= 7
    assert len(version.sums) <= 6


def test_the_rules_are_those_of_the_workbook() -> None:
    spent = [round(rule.rate * rule.long / PERIOD, 3) for rule in RULES]
    assert spent == [0.02, 0.05, 0.1]
    assert all(rule.long == 12 * rule.short for rule in RULES)


@given(st.lists(st.integers(min_value=0, max_value=50), max_size=40), st.integers(min_value=-30, max_value=30))
def test_sums_of_latencies_hold_every_answer(counts: list[int], first: int) -> None:
    one, other = Latencies(first, tuple(counts)), Latencies(QUICK, (1, 0, 2))
    both = one + other
    assert both.answers == one.answers + 3
    for target_ms in (0.5, 1.0, 3.0, 50.0):
        assert both.slower_than(target_ms) == one.slower_than(target_ms) + other.slower_than(target_ms)


@pytest.mark.parametrize(
    ("target_ms", "slower"), [(0.0, 6), (1.5, 6), (2.0, 5), (2.1, 3), (2.5, 3), (3.0, 3), (64.0, 0)]
)
def test_a_target_is_met_to_the_bucket(target_ms: float, slower: int) -> None:
    latencies = Latencies(8, (1, 2, *([0] * 20), 3))
    assert latencies.slower_than(target_ms) == slower


def test_quantiles_lie_in_their_bucket() -> None:
    latencies = Latencies(0, (98, 1, 1))
    p50_ms, p99_ms = latencies.quantile_ms(0.5), latencies.quantile_ms(0.99)
    assert p50_ms is not None
    assert p99_ms is not None
    assert 2 ** (-1 / 8) < p50_ms <= 1 < p99_ms <= 2 ** (1 / 8)
    assert Latencies().quantile_ms(0.5) is None


def test_a_rate_without_misses_is_zero() -> None:
    assert burn_rate(Tally(0, 0, 0.0)) == 0
    assert burn_rate(Tally(10, 1, 0.0)) == math.inf
