"""What happens to an A/B test."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from modelog_common.events.types import event


class AbMetric(StrEnum):
    """The figure of each prediction whose mean is compared."""

    ERROR = "error"
    SQUARED_ERROR = "squared_error"
    LOG_LOSS = "log_loss"
    OUTCOME = "outcome"
    AMOUNT = "amount"
    ABSOLUTE_ERROR = "absolute_error"


SHARES = (AbMetric.ERROR, AbMetric.OUTCOME)
AMOUNTS = (AbMetric.AMOUNT, AbMetric.ABSOLUTE_ERROR)


class AbMethod(StrEnum):
    """The always-valid inference."""

    MIXTURE_SPRT = "mixture_sprt"
    CONFIDENCE_SEQUENCE = "confidence_sequence"
    EXACT = "exact"


class Verdict(StrEnum):
    """What a test decides."""

    A_BETTER = "a_better"
    B_BETTER = "b_better"
    NO_DIFFERENCE = "no_difference"
    INCONCLUSIVE = "inconclusive"


class AbPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is compared, and what is asked of the answer; it cannot be changed once outcomes were seen.

    `min_effect` is the smallest difference of the means that matters; `sd` the standard deviation of the figure, a
    guess that costs events and never validity. `lowest` and `highest` bound the figures of an exact test of amounts.
    The test ends by itself after `longest_s`, 0 for never. With `measure_s`, baseline and sd were measured over that.
    """

    deployment: str
    a: str
    b: str
    metric: AbMetric
    threshold: float
    higher_is_better: bool
    min_effect: float
    alpha: float
    power: float
    baseline: float
    sd: float
    method: AbMethod
    allowed_lateness_s: float
    lowest: float | None = None
    highest: float | None = None
    longest_s: float = 0.0
    measure_s: float = 0.0

    @property
    def of_amounts(self) -> bool:
        """Whether its figures are of amounts; all others are of labels, 0 or 1."""
        return self.metric in AMOUNTS


class Measured(msgspec.Struct, frozen=True):
    """What the predictions of version a said before the test, those with event times from `since` up to `until`."""

    since: datetime
    until: datetime
    events: int
    mean: float
    sd: float


class SampleSize(msgspec.Struct, frozen=True):
    """Predictions with outcomes: of each version for one look at the end, of both when it is watched all the time."""

    a: int
    b: int
    watched: int


class Figures(msgspec.Struct, frozen=True):
    """What a look found: `estimate` is the mean of b minus that of a; an interval that is infinite is None."""

    events_a: int
    events_b: int
    mean_a: float
    mean_b: float
    estimate: float
    low: float | None
    high: float | None
    p_value: float


class ArmSum(msgspec.Struct, frozen=True):
    """One arm of the mixture SPRT: number, mean and sum of squared deviations."""

    n: int
    mean: float
    squares: float


class SprtState(msgspec.Struct, frozen=True, tag="mixture_sprt"):
    """All that the mixture SPRT remembers."""

    a: ArmSum
    b: ArmSum
    p_value: float
    low: float | None
    high: float | None


class SequenceState(msgspec.Struct, frozen=True, tag="confidence_sequence"):
    """All that a confidence sequence remembers; pairs are of a and b."""

    events: tuple[int, int]
    totals: tuple[float, float]
    scored: int
    score: float
    spread: float
    evidence: float


@event("monitoring.AbTestCreated")
class AbTestCreated:
    """Somebody planned a test; `share_b` is the part of both versions' traffic that b had, or is to have."""

    test_id: str
    name: str
    model: str
    plan: AbPlan
    share_b: float
    needed: SampleSize
    author: str
    at: datetime
    measured: Measured | None = None


@event("monitoring.AbTestStarted")
class AbTestStarted:
    """Predictions count from the event time `since` on, if they were answered after `split_at`.

    `split_at` is when the traffic was split as it is, `split_position` the position of that event. It ends by itself at
    `ends_by`.
    """

    test_id: str
    name: str
    share_b: float
    needed: SampleSize
    split_at: datetime
    split_position: int
    since: datetime
    by: str
    at: datetime
    ends_by: datetime | None = None


@event("monitoring.AbTestLooked")
class AbTestLooked:
    """The outcomes of predictions up to the event time `until` were counted in; `state` goes on from here."""

    test_id: str
    name: str
    number: int
    until: datetime
    figures: Figures
    state: SprtState | SequenceState
    at: datetime


@event("monitoring.AbTestDecided")
class AbTestDecided:
    """The evidence is enough, or the time that the test had is over."""

    test_id: str
    name: str
    verdict: Verdict
    evidence: Figures
    reason: str
    at: datetime


@event("monitoring.AbTestStopped")
class AbTestStopped:
    """It ended without a decision; `evidence` is what there was until then."""

    test_id: str
    name: str
    evidence: Figures | None
    reason: str
    by: str
    at: datetime


AbTestEvent = AbTestCreated | AbTestStarted | AbTestLooked | AbTestDecided | AbTestStopped
