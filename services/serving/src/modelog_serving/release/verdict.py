"""When a candidate has done harm, and when it has proved what the plan asks for: rules over figures, with reasons."""

from __future__ import annotations

from modelog_serving.release.events import Compared, Evidence, Outcome
from modelog_serving.release.plan import Criterion, OutcomePlan, Plan

WORDS = {"errors": "failed requests", "latency": "slow answers"}


def harm(plan: Plan, evidence: Evidence) -> str:
    """Why the candidate is worse beyond doubt; "" while it may not be.

    Each of the plan's tests has its part of alpha, so a candidate that is no worse is refused by one of them, in any
    step and at any time, with a probability of alpha at most.
    """
    level = plan.alpha / plan.tests
    for found in evidence.compared:
        if found.harm_p <= level:
            return f"more {rate_text(found)}, p {found.harm_p:.2g} (at most {level:.2g} was needed)"
    outcome = evidence.outcome
    if plan.outcome is None or outcome is None or outcome.p_value > level:
        return ""
    return f"worse outcomes: {outcome_text(plan.outcome, outcome)}" if _gain(plan.outcome, outcome.estimate) < 0 else ""


def safe(plan: Plan, evidence: Evidence) -> bool:
    """Whether failed and slow requests are proved to be within their margins.

    All must be proved, so each may have all of alpha (R. Berger, Technometrics 24 (1982) 295-300).
    """
    return all(found.safety_p <= plan.alpha for found in evidence.compared)


def proved_by_outcomes(plan: Plan, evidence: Evidence) -> bool:
    """Whether the outcomes prove what the plan asks of them; also where it asks nothing."""
    wanted, outcome = plan.outcome, evidence.outcome
    if wanted is None:
        return True
    if outcome is None:
        return False
    if outcome.p_value <= plan.alpha and _gain(wanted, outcome.estimate) > 0:
        return True
    if wanted.criterion is Criterion.SUPERIOR or outcome.low is None or outcome.high is None:
        return False
    worst = outcome.low if wanted.higher_is_better else -outcome.high
    # Ends that have crossed say that the difference changed while the test ran: that proves nothing.
    return outcome.low <= outcome.high and worst > -wanted.effect


def refused_by_outcomes(plan: Plan, evidence: Evidence) -> str:
    """Why the outcomes can prove nothing any more; "" while they may."""
    outcome = evidence.outcome
    if outcome is None or not outcome.ended or proved_by_outcomes(plan, evidence):
        return ""
    return f"the A/B test {outcome.test} ended without the proof that was asked for: {outcome.ended}"


def summary(plan: Plan, evidence: Evidence) -> str:
    """The evidence in a sentence."""
    parts = [rate_text(found) for found in evidence.compared]
    if plan.outcome is not None and evidence.outcome is not None:
        parts.append(outcome_text(plan.outcome, evidence.outcome))
    seen = f"{evidence.candidate.requests:,} requests answered"
    if evidence.mirrored is not None:
        m = evidence.mirrored
        seen = f"{m.alike:,} of {m.compared:,} answers alike, {m.failed:,} failed, {m.dropped:,} not asked for"
    return "; ".join([seen, *parts])


def rate_text(found: Compared) -> str:
    """A rate of both versions in words."""
    return (
        f"{WORDS[found.figure]}: {found.candidate:.3%} against {found.incumbent:.3%}, difference "
        f"{100 * found.difference:+.3f} points ({100 * found.low:+.3f} to {100 * found.high:+.3f}, margin "
        f"{100 * found.margin:g})"
    )


def outcome_text(plan: OutcomePlan, found: Outcome) -> str:
    """The outcomes of both versions in words."""
    ends = "" if found.low is None or found.high is None else f" ({found.low:+.4g} to {found.high:+.4g})"
    return (
        f"{plan.metric.replace('_', ' ')} {found.mean_candidate:.4g} of {found.events_candidate:,} predictions against "
        f"{found.mean_incumbent:.4g} of {found.events_incumbent:,}, difference {found.estimate:+.4g}{ends}, "
        f"p {found.p_value:.2g}"
    )


def _gain(plan: OutcomePlan, estimate: float) -> float:
    """How much better the candidate is; negative where it is worse."""
    return estimate if plan.higher_is_better else -estimate
