"""The rules of releases: what starts one, and what follows from the evidence of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import NotAllowed

from modelog_serving.release.commands import (
    RecordEvidence,
    ReleaseCommand,
    RollBackRelease,
    StartRelease,
    StopRelease,
)
from modelog_serving.release.events import (
    Evidence,
    ReleaseAdvanced,
    ReleaseEvent,
    ReleaseLooked,
    ReleasePromoted,
    ReleaseRolledBack,
    ReleaseStarted,
    ReleaseStopped,
)
from modelog_serving.release.plan import Pattern, checked
from modelog_serving.release.state import Release, evolve
from modelog_serving.release.verdict import harm, proved_by_outcomes, refused_by_outcomes, safe, summary

# A look is an event: one for so many more requests than at the last, so their number grows with the logarithm only.
GROWTH, FEWEST = 0.2, 20


def decide(release: Release, command: ReleaseCommand, ctx: Context) -> Sequence[ReleaseEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case StartRelease():
            return start(release, command, ctx)
        case RecordEvidence():
            return record(release, command, ctx)
        case RollBackRelease():
            return roll_back(release, command, ctx)
        case StopRelease():
            return stop(release, command, ctx)
        case _:
            assert_never(command)


def start(release: Release, command: StartRelease, ctx: Context) -> Sequence[ReleaseEvent]:
    if release.running:
        terms = release.terms
        raise NotAllowed(
            f"{terms.candidate.version} is being released to {terms.name} (release {terms.number}); "
            f"wait for its end, or stop it: modelog release stop {terms.name}"
        )
    if command.candidate.version == command.incumbent.version:
        raise NotAllowed(
            f"{command.name} is served by {command.candidate.version} already; there is nothing to release"
        )
    return [
        ReleaseStarted(
            deployment_id=command.deployment_id,
            name=command.name,
            number=release.number + 1,
            model=command.model,
            incumbent=command.incumbent,
            candidate=command.candidate,
            plan=checked(command.plan),
            baseline=command.baseline,
            reason=command.reason,
            by=ctx.actor,
            at=ctx.now,
        )
    ]


def record(release: Release, command: RecordEvidence, ctx: Context) -> Sequence[ReleaseEvent]:
    """Nothing follows from evidence of another release or step: it came too late."""
    evidence = command.evidence
    if not release.running or command.number != release.number or evidence.step != release.step:
        return ()
    plan = release.terms.plan
    why = harm(plan, evidence)
    if why:
        return [rolled_back(release, evidence, why, ctx)]
    if _enough(release, evidence, ctx):
        return [_onward(release, evidence, ctx)]
    refused = refused_by_outcomes(plan, evidence) if _is_last_test(release) else ""
    if refused:
        return [rolled_back(release, evidence, refused, ctx)]
    if (ctx.now - release.terms.at).total_seconds() >= plan.longest_s:
        why = f"undecided after {plan.longest_s:g} s, the longest that it may take: {summary(plan, evidence)}"
        return [rolled_back(release, evidence, why, ctx)]
    if not _is_news(release.evidence, evidence):
        return ()
    terms = release.terms
    return [ReleaseLooked(terms.deployment_id, terms.name, terms.number, evidence, ctx.now)]


def roll_back(release: Release, command: RollBackRelease, ctx: Context) -> Sequence[ReleaseEvent]:
    if not release.running or command.number != release.number:
        return ()
    reason = f"rolled back by {ctx.actor}" + (f": {command.reason}" if command.reason else "")
    return [rolled_back(release, command.evidence, reason, ctx)]


def stop(release: Release, command: StopRelease, ctx: Context) -> Sequence[ReleaseEvent]:
    release.terms  # noqa: B018 - raises NotFound where there never was a release
    if not release.running or command.number != release.number:
        return ()
    reason = f"stopped by {ctx.actor}" + (f": {command.reason}" if command.reason else "")
    return [stopped(release, command.evidence, reason, ctx)]


def rolled_back(release: Release, evidence: Evidence, reason: str, ctx: Context) -> ReleaseRolledBack:
    terms = release.terms
    return ReleaseRolledBack(
        deployment_id=terms.deployment_id,
        name=terms.name,
        number=terms.number,
        model=terms.model,
        incumbent=terms.incumbent.version,
        candidate=terms.candidate.version,
        evidence=evidence,
        reason=reason,
        by=ctx.actor,
        at=ctx.now,
    )


def stopped(release: Release, evidence: Evidence, reason: str, ctx: Context) -> ReleaseStopped:
    terms = release.terms
    return ReleaseStopped(
        terms.deployment_id, terms.name, terms.number, terms.model, terms.candidate.version, evidence, reason,
        ctx.actor, ctx.now,
    )  # fmt: skip


def _enough(release: Release, evidence: Evidence, ctx: Context) -> bool:
    """Whether the step has lasted long enough and, of a canary, proved what it must."""
    plan = release.terms.plan
    if (ctx.now - release.step_at).total_seconds() < plan.step_s:
        return False
    if evidence.candidate.requests < plan.step_requests:
        return False
    if not plan.tested:
        return True
    return safe(plan, evidence) and (not _is_last_test(release) or proved_by_outcomes(plan, evidence))


def _is_last_test(release: Release) -> bool:
    """Whether the next step is all of the traffic: then the outcomes must have proved what they are asked."""
    return release.terms.plan.tested and release.step == len(release.terms.plan.steps) - 2


def _onward(release: Release, evidence: Evidence, ctx: Context) -> ReleaseEvent:
    terms, plan = release.terms, release.terms.plan
    found = summary(plan, evidence)
    if plan.pattern is Pattern.SHADOW:
        return stopped(release, evidence, f"the shadow is over: {found}", ctx)
    if _is_last_test(release) or release.step == len(plan.steps) - 1:
        return ReleasePromoted(
            deployment_id=terms.deployment_id,
            name=terms.name,
            number=terms.number,
            model=terms.model,
            incumbent=terms.incumbent.version,
            candidate=terms.candidate.version,
            evidence=evidence,
            reason=found,
            at=ctx.now,
        )
    return ReleaseAdvanced(
        deployment_id=terms.deployment_id,
        name=terms.name,
        number=terms.number,
        model=terms.model,
        candidate=terms.candidate.version,
        step=release.step + 1,
        percent=plan.steps[release.step + 1],
        evidence=evidence,
        reason=found,
        at=ctx.now,
    )


def _is_news(before: Evidence, now: Evidence) -> bool:
    """Whether there is so much more than at the last look that it is worth an event."""
    return any(new - old >= max(FEWEST, GROWTH * old) for old, new in zip(_sizes(before), _sizes(now), strict=True))


def _sizes(evidence: Evidence) -> tuple[int, int]:
    outcome = evidence.outcome
    seen = evidence.incumbent.requests + evidence.candidate.requests
    return seen, 0 if outcome is None else outcome.events_incumbent + outcome.events_candidate


RELEASES: Decider[Release, ReleaseCommand, ReleaseEvent] = Decider("serving.release", Release, decide, evolve)
