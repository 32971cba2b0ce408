"""What may be asked of an A/B test, before anything is measured or calculated."""

from __future__ import annotations

import math

from modelog_common.domain.errors import Invalid

from modelog_monitoring.abtest.events import AbMethod, AbMetric, AbPlan

NUMBERS = (
    "threshold", "min_effect", "alpha", "power", "baseline", "sd", "allowed_lateness_s", "lowest", "highest",
    "longest_s", "measure_s",
)  # fmt: skip


def check_asked(plan: AbPlan) -> None:
    """Raises Invalid, naming the field."""
    for name in NUMBERS:
        value = getattr(plan, name)
        if value is not None and not math.isfinite(value):
            raise Invalid.field(name, f"is {value}; a finite number is needed")
    if plan.a == plan.b:
        raise Invalid.field("b", f"is {plan.b}, as a is; name two versions")
    if plan.min_effect <= 0:
        raise Invalid.field("min_effect", "is needed: the smallest difference that matters, above 0")
    if not plan.alpha < plan.power < 1:
        raise Invalid.field("power", f"is {plan.power:g}; it must lie between alpha, {plan.alpha:g}, and 1")
    if plan.higher_is_better and plan.metric not in (AbMetric.OUTCOME, AbMetric.AMOUNT):
        raise Invalid.field(
            "higher_is_better", f"is for the outcome and the amount; less of the {plan.metric} is always better"
        )
    _check_method(plan)


def check_to_be_measured(plan: AbPlan) -> None:
    """What is to be measured is not given; raises Invalid, naming the field."""
    for name in ("baseline", "sd"):
        if getattr(plan, name):
            raise Invalid.field(name, "is given, and measure_s says that it is measured; leave one of them out")


def _check_method(plan: AbPlan) -> None:
    if plan.method is AbMethod.EXACT and plan.metric is AbMetric.LOG_LOSS:
        raise Invalid.field("method", "is exact, which needs figures with a bound, and the log loss has none")
    if plan.method is AbMethod.MIXTURE_SPRT and plan.of_amounts:
        # Simulated A/A tests of skewed amounts in an uneven split rejected in up to 17 % of cases where 5 were allowed.
        raise Invalid.field(
            "method", f"is mixture_sprt, which keeps no level where figures are as skewed as the {plan.metric} may be; "
            "take confidence_sequence or, with lowest and highest, exact",
        )  # fmt: skip
    ranged = plan.method is AbMethod.EXACT and plan.of_amounts
    for name in ("lowest", "highest"):
        if ranged and getattr(plan, name) is None:
            raise Invalid.field(
                name, f"is needed: an exact test of the {plan.metric} must know the range of its figures"
            )
        if not ranged and getattr(plan, name) is not None:
            raise Invalid.field(name, "is for amounts that the method exact tests")
    if plan.lowest is not None and plan.highest is not None and not plan.lowest < plan.highest:
        raise Invalid.field("highest", f"is {plan.highest:g}; it must lie above lowest, {plan.lowest:g}")
