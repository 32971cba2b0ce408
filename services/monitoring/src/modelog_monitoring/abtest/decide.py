"""The rules of A/B tests: what starts one, what ends one, and when the evidence is enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import assert_never

import msgspec
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, NotAllowed
from modelog_common.domain.ids import derived_id

from modelog_monitoring.abtest.commands import (
    AbTestCommand,
    ConcludeAbTest,
    CreateAbTest,
    RecordLook,
    StartAbTest,
    StopAbTest,
)
from modelog_monitoring.abtest.events import (
    AbMetric,
    AbPlan,
    AbTestCreated,
    AbTestDecided,
    AbTestEvent,
    AbTestLooked,
    AbTestStarted,
    AbTestStopped,
    Figures,
    Verdict,
)
from modelog_monitoring.abtest.state import AbPhase, AbTest, evolve


def decide(test: AbTest, command: AbTestCommand, ctx: Context) -> Sequence[AbTestEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case CreateAbTest():
            return create(test, command, ctx)
        case StartAbTest():
            return start(test, command, ctx)
        case RecordLook():
            return record_look(test, command, ctx)
        case ConcludeAbTest():
            return conclude(test, ctx)
        case StopAbTest(reason):
            return stop(test, reason, ctx)
        case _:
            assert_never(command)


def create(test: AbTest, command: CreateAbTest, ctx: Context) -> Sequence[AbTestEvent]:
    """The same plan under the same name is not an error."""
    known = test.created
    if known is None:
        test_id = derived_id(ctx.tenant, command.name)
        return [
            AbTestCreated(
                test_id, command.name, command.model, command.plan, command.share_b, command.needed, ctx.actor, ctx.now,
                command.measured,
            )
        ]  # fmt: skip
    if asked(known.plan) == asked(command.plan):
        return ()
    raise AlreadyExists(f"A/B test {known.name!r} exists already with another plan; {known.author} created it")


def asked(plan: AbPlan) -> AbPlan:
    """The plan as somebody asked for it: what is measured is another number each time."""
    return msgspec.structs.replace(plan, baseline=0.0, sd=0.0) if plan.measure_s else plan


def start(test: AbTest, command: StartAbTest, ctx: Context) -> Sequence[AbTestEvent]:
    about = test.definition
    if test.phase is AbPhase.RUNNING:
        return ()
    if test.phase is not AbPhase.DRAFT:
        raise NotAllowed(
            f"A/B test {about.name!r} is {test.phase}; outcomes that were seen cannot be tested again: plan another one"
        )
    plan, split = about.plan, command.split
    if split is None:
        raise NotAllowed(
            f"{plan.a} and {plan.b} must both have a part of the traffic of {plan.deployment}; split it first, "
            f"such as with `modelog deploy traffic {plan.deployment} {plan.a}=50 {plan.b}=50`"
        )
    return [
        AbTestStarted(
            test_id=about.test_id,
            name=about.name,
            share_b=split.share_b,
            needed=split.needed,
            split_at=split.at,
            split_position=split.position,
            since=command.since,
            by=ctx.actor,
            at=ctx.now,
            ends_by=ctx.now + timedelta(seconds=plan.longest_s) if plan.longest_s else None,
        )
    ]


def record_look(test: AbTest, command: RecordLook, ctx: Context) -> Sequence[AbTestEvent]:
    """What a look found, and the decision when it is enough for one. Outcomes count once."""
    about, before = test.definition, test.looked
    if test.phase is not AbPhase.RUNNING or (before is not None and command.until <= before.until):
        return ()
    number = 1 if before is None else before.number + 1
    looked = AbTestLooked(about.test_id, about.name, number, command.until, command.figures, command.state, ctx.now)
    verdict = verdict_of(about.plan, command.figures)
    if verdict is None:
        return [looked]
    reason = reason_of(about.plan, verdict, command.figures)
    return [looked, AbTestDecided(about.test_id, about.name, verdict, command.figures, reason, ctx.now)]


def conclude(test: AbTest, ctx: Context) -> Sequence[AbTestEvent]:
    """Looks that were enough for a decision have ended it already."""
    about, started = test.definition, test.started
    if test.phase is not AbPhase.RUNNING or started is None or started.ends_by is None or ctx.now < started.ends_by:
        return ()
    found = NOTHING if test.looked is None else test.looked.figures
    seen = evidence_of(about.plan, found) if test.looked else "no prediction with an outcome was counted"
    reason = f"it had until {started.ends_by:%Y-%m-%d %H:%M:%S} UTC, and that was not enough for a decision: {seen}"
    return [AbTestDecided(about.test_id, about.name, Verdict.INCONCLUSIVE, found, reason, ctx.now)]


def stop(test: AbTest, reason: str, ctx: Context) -> Sequence[AbTestEvent]:
    about = test.definition
    if test.phase is AbPhase.STOPPED:
        return ()
    if test.phase is AbPhase.DECIDED:
        raise NotAllowed(f"A/B test {about.name!r} is decided; there is nothing to stop")
    evidence = None if test.looked is None else test.looked.figures
    return [AbTestStopped(about.test_id, about.name, evidence, reason, ctx.actor, ctx.now)]


def verdict_of(plan: AbPlan, found: Figures) -> Verdict | None:
    """Both kinds of decision rest on one confidence sequence, so all of them together are wrong at most with alpha.

    Zero outside of it says that there is a difference; all of it within the smallest effect says that none matters.
    """
    if found.p_value <= plan.alpha:
        return Verdict.B_BETTER if (found.estimate > 0) is plan.higher_is_better else Verdict.A_BETTER
    if found.low is None or found.high is None:
        return None
    # Ends that have crossed say that the difference changed while the test ran: that is no decision.
    within = -plan.min_effect < found.low <= found.high < plan.min_effect
    return Verdict.NO_DIFFERENCE if within else None


def reason_of(plan: AbPlan, verdict: Verdict, found: Figures) -> str:
    """The decision in a sentence, with the evidence."""
    said = {
        Verdict.A_BETTER: f"{plan.a} is better than {plan.b}",
        Verdict.B_BETTER: f"{plan.b} is better than {plan.a}",
        Verdict.NO_DIFFERENCE: f"{plan.a} and {plan.b} differ by less than {plan.min_effect:g}",
    }[verdict]
    return f"{said}: {evidence_of(plan, found)}"


def evidence_of(plan: AbPlan, found: Figures) -> str:
    interval = "" if found.low is None or found.high is None else f" ({found.low:+.4g} to {found.high:+.4g})"
    seen = f"{found.mean_a:.4g} of {found.events_a:,} predictions against {found.mean_b:.4g} of {found.events_b:,}"
    found_out = f"difference {found.estimate:+.4g}{interval}, always-valid p {found.p_value:.2g}"
    return f"{_WORDS[plan.metric]} {seen}, {found_out}"


_WORDS = {
    AbMetric.ERROR: "error rate",
    AbMetric.SQUARED_ERROR: "squared error",
    AbMetric.LOG_LOSS: "log loss",
    AbMetric.OUTCOME: "outcome",
    AbMetric.AMOUNT: "amount",
    AbMetric.ABSOLUTE_ERROR: "absolute error",
}
# What there is before any outcome was counted.
NOTHING = Figures(0, 0, 0.0, 0.0, 0.0, None, None, 1.0)
AB_TEST: Decider[AbTest, AbTestCommand, AbTestEvent] = Decider("monitoring.abtest", AbTest, decide, evolve)
