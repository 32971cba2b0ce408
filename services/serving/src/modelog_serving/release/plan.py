"""How a release goes and what it must prove, and which plans make sense."""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec
from modelog_common.domain.errors import Invalid

ALPHA = 0.05
MOST_STEPS = 20
DAY_S = 86_400.0


class Pattern(StrEnum):
    """How a candidate gets its traffic."""

    CANARY = "canary"
    BLUE_GREEN = "blue_green"
    ROLLING = "rolling"
    SHADOW = "shadow"


# The shares of a pattern whose plan names none.
STEPS = {
    Pattern.CANARY: (5.0, 25.0, 50.0, 100.0),
    Pattern.BLUE_GREEN: (100.0,),
    Pattern.ROLLING: (10.0, 25.0, 50.0, 100.0),
    Pattern.SHADOW: (0.0,),
}


class Criterion(StrEnum):
    """What the outcomes of a canary's answers must prove."""

    SUPERIOR = "superior"
    NON_INFERIOR = "non_inferior"


class OutcomePlan(msgspec.Struct, frozen=True):
    """The A/B test of monitoring that each step of a canary starts; the fields are those of its plan.

    `effect` is the smallest difference that matters, and for a candidate that must be no worse the margin.
    """

    metric: str
    effect: float
    criterion: Criterion = Criterion.SUPERIOR
    baseline: float = 0.0
    sd: float = 0.0
    threshold: float = 0.0
    higher_is_better: bool = False
    method: str = ""
    lateness_s: float = 0.0


class Plan(msgspec.Struct, frozen=True):
    """How a release goes.

    `steps` are the candidate's shares of the traffic, of 100, the last one 100. A share of failed requests that is up
    to `error_margin` higher is tolerated, and one of answers slower than `latency_limit_ms` that is up to
    `latency_margin` higher; None is not looked at. A step takes at least `step_s` and `step_requests` requests of the
    candidate. After `longest_s` a release that is not decided is rolled back.
    """

    pattern: Pattern
    steps: tuple[float, ...] = ()
    alpha: float = ALPHA
    error_margin: float | None = None
    latency_margin: float | None = None
    latency_limit_ms: float = 0.0
    outcome: OutcomePlan | None = None
    step_s: float = 0.0
    step_requests: int = 0
    longest_s: float = DAY_S

    @property
    def tests(self) -> int:
        """How many tests of harm the release makes in all: the chance of a false alarm is shared evenly by them."""
        figures = sum(each is not None for each in (self.error_margin, self.latency_margin, self.outcome))
        # A canary that has all of the traffic is promoted and is tested no more.
        return max(1, figures * (len(self.steps) - self.tested))

    @property
    def tested(self) -> bool:
        """Whether a step is left by proof and not by time and number alone."""
        return self.pattern is Pattern.CANARY


def checked(plan: Plan) -> Plan:
    """The plan with the usual steps where none are named; raises Invalid, naming the field."""
    plan = msgspec.structs.replace(plan, steps=plan.steps or STEPS[plan.pattern])
    _check_numbers(plan)
    _check_steps(plan)
    _check_criteria(plan)
    return plan


def _check_numbers(plan: Plan) -> None:
    if not 0 < plan.alpha <= 0.5:
        raise Invalid.field("plan.alpha", f"is {plan.alpha:g}; it must lie above 0 and be at most 0.5")
    for name in ("error_margin", "latency_margin"):
        value = getattr(plan, name)
        if value is not None and not 0 < value < 1:
            raise Invalid.field(f"plan.{name}", f"is {value:g}; a margin lies between 0 and 1")
    for name in ("latency_limit_ms", "step_s", "step_requests"):
        value = getattr(plan, name)
        if not 0 <= value < math.inf:
            raise Invalid.field(f"plan.{name}", f"is {value:g}; it must be 0 or more")
    if not 0 < plan.longest_s < math.inf:
        raise Invalid.field("plan.longest_s", f"is {plan.longest_s:g}; it must be above 0")
    if plan.step_s * len(plan.steps) > plan.longest_s:
        raise Invalid.field(
            "plan.longest_s", f"is {plan.longest_s:g}; {len(plan.steps)} steps of {plan.step_s:g} s take longer"
        )


def _check_steps(plan: Plan) -> None:
    if plan.pattern is Pattern.SHADOW:
        if plan.steps != (0.0,):
            raise Invalid.field("plan.steps", "are not for a shadow: its answers are never returned")
        return
    if len(plan.steps) > MOST_STEPS:
        raise Invalid.field("plan.steps", f"are {len(plan.steps)}; at most {MOST_STEPS} are allowed")
    before = 0.0
    for number, percent in enumerate(plan.steps):
        if not before < percent <= 100:
            raise Invalid.field(
                f"plan.steps[{number}]", f"is {percent:g}; shares rise, from above 0 to 100: {before:g} comes before it"
            )
        before = percent
    if before != 100:
        raise Invalid.field("plan.steps", f"end at {before:g}; the last one must be 100")
    if plan.pattern is Pattern.CANARY and len(plan.steps) < 2:
        raise Invalid.field("plan.steps", "are only 100; a canary needs a smaller share before")
    if plan.pattern is Pattern.BLUE_GREEN and len(plan.steps) > 1:
        raise Invalid.field("plan.steps", "are several; blue-green switches all of the traffic at once")


def _check_criteria(plan: Plan) -> None:
    if plan.outcome is not None:
        if not plan.tested:
            raise Invalid.field("plan.outcome", f"is for a canary; {plan.pattern} releases wait for no labels")
        if not 0 < plan.outcome.effect < math.inf:
            raise Invalid.field("plan.outcome.effect", "is needed: the smallest difference that matters, above 0")
    if plan.tested and plan.error_margin is None and plan.latency_margin is None and plan.outcome is None:
        raise Invalid.field(
            "plan.error_margin", "is missing, and so are latency_margin and outcome: a canary must prove something"
        )
    if not plan.tested and not (plan.step_s or plan.step_requests):
        raise Invalid.field("plan.step_s", f"is 0, and so is step_requests: a {plan.pattern} release has no other end")
    if plan.latency_limit_ms and plan.latency_margin is None:
        raise Invalid.field("plan.latency_margin", "is needed where latency_limit_ms is given")
