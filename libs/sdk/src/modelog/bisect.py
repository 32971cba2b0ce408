"""Finding the event after which a check fails, by halving the positions between a good one and a bad one."""

from __future__ import annotations

from enum import Enum
from typing import Callable, NamedTuple, Set

from modelog.errors import Invalid


class Verdict(Enum):
    """What a check says of one position."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


class Found(NamedTuple):
    """The check holds at `good` and fails at `bad`; between them lie only positions that could not be checked."""

    good: int
    bad: int
    checks: int

    @property
    def is_exact(self) -> bool:
        """Whether it is certain which event it was: that at position `bad`."""
        return self.bad == self.good + 1


Check = Callable[[int], Verdict]
Progress = Callable[[int, Verdict, int], None]


def bisect(good: int, bad: int, check: Check, progress: Progress = lambda position, verdict, left: None) -> Found:
    """Halve until the first bad position is found, or only positions that the check skips are left.

    `progress` is told each position, its verdict, and about how many checks are left. Both ends are checked first;
    raises Invalid when they are not what they were said to be.
    """
    if not 0 <= good < bad:
        raise Invalid(f"the good position must come before the bad one; {good} does not come before {bad}")
    for position, expected in ((good, Verdict.GOOD), (bad, Verdict.BAD)):
        verdict = check(position)
        progress(position, verdict, steps_left(good, bad))
        if verdict is not expected:
            raise Invalid(f"position {position} was said to be {expected.value}, but the check says {verdict.value}")
    checks, skipped = 2, set()  # type: int, Set[int]
    while True:
        position = _nearest_to_middle(good, bad, skipped)
        if position < 0:
            return Found(good, bad, checks)
        verdict, checks = check(position), checks + 1
        if verdict is Verdict.SKIP:
            skipped.add(position)
        elif verdict is Verdict.GOOD:
            good = position
        else:
            bad = position
        progress(position, verdict, steps_left(good, bad))


def steps_left(good: int, bad: int) -> int:
    """About how many checks it takes to find the first bad position between the two."""
    return (bad - good - 1).bit_length()


def _nearest_to_middle(good: int, bad: int, skipped: Set[int]) -> int:
    """A position between the two that was not skipped; -1 when there is none."""
    middle = (good + bad) // 2
    for distance in range(bad - good):
        for position in (middle - distance, middle + distance):
            if good < position < bad and position not in skipped:
                return position
    return -1
