"""How a deployment learns, and when it has learned so badly that it must stop. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from modelog_common.domain.errors import Invalid

MOST_LABELS, LONGEST_S = 10_000, 86_400
LEAST_RATIO, MOST_RATIO = 1.0, 100.0
LEAST_GUARDED, MOST_GUARDED = 20, 1_000_000
# The mean of paired differences lies so many of its standard errors above zero by chance in one of a thousand looks.
ERRORS_AWAY = 3.0


class Terms(msgspec.Struct, frozen=True):
    """A step is taken when `step_labels` wait, or one has waited for `step_s`; it learns from at most `step_labels`.

    What learned is held against the version as it was registered, on the same labels: it stops when over the last
    `guard_labels` its error is more than `worst_ratio` times as large.
    """

    step_labels: int = 100
    step_s: int = 60
    worst_ratio: float = 1.5
    guard_labels: int = 200


class Seen(msgspec.Struct, frozen=True):
    """Progressive validation on some labels: each was answered before it was learned from.

    The sums are of what learned and of the version as it was registered, of errors (0 or 1) of a classifier and of
    absolute errors of a regressor; `squares` is the sum of the squares of their differences, label by label.
    """

    labels: int
    error_sum: float
    registered_sum: float
    squares: float

    @property
    def error(self) -> float:
        """The mean error of what learned."""
        return self.error_sum / max(self.labels, 1)

    @property
    def registered_error(self) -> float:
        """The mean error of the version as it was registered."""
        return self.registered_sum / max(self.labels, 1)


def together(parts: Sequence[Seen]) -> Seen:
    """All of them as one."""
    return Seen(
        sum(part.labels for part in parts),
        math.fsum(part.error_sum for part in parts),
        math.fsum(part.registered_sum for part in parts),
        math.fsum(part.squares for part in parts),
    )


def far_worse(terms: Terms, seen: Seen) -> bool:
    """Whether what learned must stop: worse by so much, on enough labels, and not by chance."""
    more = seen.error_sum - seen.registered_sum
    return (
        seen.labels >= terms.guard_labels
        and seen.error_sum > terms.worst_ratio * seen.registered_sum
        and more > ERRORS_AWAY * math.sqrt(seen.squares)
    )


def check_terms(terms: Terms) -> None:
    """Raise Invalid, naming the field, for what cannot be."""
    _within("step_labels", terms.step_labels, 1, MOST_LABELS)
    _within("step_s", terms.step_s, 1, LONGEST_S)
    _within("worst_ratio", terms.worst_ratio, LEAST_RATIO, MOST_RATIO)
    _within("guard_labels", terms.guard_labels, LEAST_GUARDED, MOST_GUARDED)


def _within(name: str, value: float, least: float, most: float) -> None:
    # NaN fails the comparison too.
    if not least <= value <= most:
        raise Invalid.field(f"terms.{name}", f"is {value:g}; it must be from {least:g} to {most:g}")
