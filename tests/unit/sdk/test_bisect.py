"""Bisection finds the first bad position with few checks, around positions that cannot be judged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog.bisect import Verdict, bisect, steps_left
from modelog.cli.bisect import verdict_of
from modelog.errors import Invalid, NotAllowed

ENDS = st.integers(0, 2000).flatmap(
    lambda good: st.integers(good + 1, good + 3000).flatmap(
        lambda bad: st.tuples(st.just(good), st.just(bad), st.integers(good + 1, bad))
    )
)


@given(ENDS)
def test_the_first_bad_position_is_found_with_few_checks(ends: tuple[int, int, int]) -> None:
    good, bad, first_bad = ends
    asked: list[int] = []

    def check(position: int) -> Verdict:
        asked.append(position)
        return Verdict.BAD if position >= first_bad else Verdict.GOOD

    found = bisect(good, bad, check)
    assert found.is_exact
    assert (found.good, found.bad) == (first_bad - 1, first_bad)
    assert found.checks == len(asked) <= 2 + steps_left(good, bad)


@given(ENDS, st.data())
def test_what_cannot_be_judged_is_walked_around(ends: tuple[int, int, int], data: st.DataObject) -> None:
    good, bad, first_bad = ends
    skipped = data.draw(st.sets(st.integers(good + 1, bad), max_size=30)) - {good, bad}

    def check(position: int) -> Verdict:
        if position in skipped:
            return Verdict.SKIP
        return Verdict.BAD if position >= first_bad else Verdict.GOOD

    found = bisect(good, bad, check)
    assert found.good < first_bad <= found.bad
    assert set(range(found.good + 1, found.bad)) <= skipped


def test_ends_that_are_not_as_said_are_refused() -> None:
    with pytest.raises(Invalid, match="position 3 was said to be good, but the check says bad"):
        bisect(3, 9, lambda _: Verdict.BAD)
    with pytest.raises(Invalid, match="position 9 was said to be bad, but the check says good"):
        bisect(3, 9, lambda _: Verdict.GOOD)
    with pytest.raises(Invalid, match="9 does not come before 3"):
        bisect(9, 3, lambda _: Verdict.GOOD)


def test_progress_counts_down() -> None:
    left: list[int] = []
    bisect(0, 1000, lambda p: Verdict.BAD if p >= 700 else Verdict.GOOD, lambda _, __, steps: left.append(steps))
    assert left[0] == 10
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


def test_exit_statuses_are_those_of_git_bisect() -> None:
    assert [verdict_of(s) for s in (0, 1, 124, 125, 127)] == [
        Verdict.GOOD, Verdict.BAD, Verdict.BAD, Verdict.SKIP, Verdict.BAD,
    ]  # fmt: skip
    for status in (128, 255, -9):
        with pytest.raises(NotAllowed, match="stops the search"):
            verdict_of(status)
