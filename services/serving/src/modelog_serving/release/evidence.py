"""From counts of both versions to what they say: the always-valid tests of a step, in one pass and constant memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from modelog_stats.ab.rates import RateTest

from modelog_serving.release.events import NO_REQUESTS, Compared, Counts, Evidence, Mirrored, Outcome
from modelog_serving.release.plan import Plan


@dataclass(frozen=True)
class StepTests:
    """The tests of one step; `errors` and `latency` are None where the plan does not look at them."""

    alpha: float
    errors: RateTest | None = None
    latency: RateTest | None = None
    incumbent: Counts = NO_REQUESTS
    candidate: Counts = NO_REQUESTS

    def add(self, incumbent: Counts, candidate: Counts) -> StepTests:
        """The tests after more requests of both."""
        return replace(
            self,
            incumbent=_sum(self.incumbent, incumbent),
            candidate=_sum(self.candidate, candidate),
            errors=self.errors
            and self.errors.add(incumbent.errors, incumbent.requests, candidate.errors, candidate.requests),
            # A request without an answer is no slow answer: its failure counts already.
            latency=self.latency
            and self.latency.add(incumbent.slow, _answers(incumbent), candidate.slow, _answers(candidate)),
        )

    def evidence(self, step: int, outcome: Outcome | None = None, mirrored: Mirrored | None = None) -> Evidence:
        """What the tests say now, with what came from elsewhere."""
        tests = (("errors", self.errors), ("latency", self.latency))
        compared = tuple(_compared(figure, test, self.alpha) for figure, test in tests if test is not None)
        return Evidence(step, self.incumbent, self.candidate, compared, outcome, mirrored)


def begun(plan: Plan, before: Evidence | None) -> StepTests:
    """The tests of a step at its beginning, or as they were when the evidence was written down."""
    tests = StepTests(
        plan.alpha / plan.tests,
        None if plan.error_margin is None else RateTest(plan.error_margin),
        None if plan.latency_margin is None else RateTest(plan.latency_margin),
    )
    if before is None:
        return tests
    tests = tests.add(before.incumbent, before.candidate)
    best = {found.figure: found for found in before.compared}
    return replace(
        tests,
        errors=tests.errors and _as_before(tests.errors, best.get("errors")),
        latency=tests.latency and _as_before(tests.latency, best.get("latency")),
    )


def _as_before(test: RateTest, found: Compared | None) -> RateTest:
    """The largest evidence so far counts, also where later requests weakened it."""
    if found is None:
        return test
    return replace(test, harm=max(test.harm, _log(found.harm_p)), safety=max(test.safety, _log(found.safety_p)))


def _log(p_value: float) -> float:
    return -math.log(max(p_value, 1e-300))


def _compared(figure: str, test: RateTest, alpha: float) -> Compared:
    low, high = test.interval(alpha)
    return Compared(
        figure=figure,
        margin=test.margin,
        incumbent=test.events_a / max(test.n_a, 1),
        candidate=test.events_b / max(test.n_b, 1),
        difference=test.difference,
        low=low,
        high=high,
        harm_p=test.harm_p,
        safety_p=test.safety_p,
    )


def _answers(counts: Counts) -> int:
    return counts.requests - counts.errors


def _sum(a: Counts, b: Counts) -> Counts:
    return Counts(a.requests + b.requests, a.errors + b.errors, a.slow + b.slow)
