"""From releases and their events to rows and to the messages that queries answer with."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Change, Put
from modelog_proto.monitoring.v1 import abtest_pb2 as ab
from modelog_proto.serving.v1 import release_pb2 as pb

from modelog_serving.events import EVENTS
from modelog_serving.read.tables import LOOKS, RELEASES, timestamp
from modelog_serving.release.events import Counts, Evidence, ReleaseStarted
from modelog_serving.release.plan import Criterion, OutcomePlan, Pattern, Plan
from modelog_serving.release.state import Phase, Release

PATTERNS = {
    Pattern.CANARY: pb.RELEASE_PATTERN_CANARY,
    Pattern.BLUE_GREEN: pb.RELEASE_PATTERN_BLUE_GREEN,
    Pattern.ROLLING: pb.RELEASE_PATTERN_ROLLING,
    Pattern.SHADOW: pb.RELEASE_PATTERN_SHADOW,
}
STATES = {
    Phase.NONE: pb.RELEASE_STATE_UNSPECIFIED,
    Phase.RUNNING: pb.RELEASE_STATE_RUNNING,
    Phase.PROMOTED: pb.RELEASE_STATE_PROMOTED,
    Phase.ROLLED_BACK: pb.RELEASE_STATE_ROLLED_BACK,
    Phase.STOPPED: pb.RELEASE_STATE_STOPPED,
}
CRITERIA = {
    Criterion.SUPERIOR: pb.RELEASE_CRITERION_SUPERIOR,
    Criterion.NON_INFERIOR: pb.RELEASE_CRITERION_NON_INFERIOR,
}


def release_rows(release: Release, stored: StoredEvent) -> Sequence[Change]:
    """The release's own row, and the row of what was known when the event came."""
    terms = release.terms
    key = {"release_id": f"{terms.deployment_id}/{terms.number}"}
    values = {"deployment": terms.name, "number": terms.number}
    body = release_message(release, stored.position).SerializeToString()
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    evidence = None if isinstance(event, ReleaseStarted) else event.evidence
    look = pb.ReleaseLook(
        deployment=terms.name,
        release=terms.number,
        event=stored.type.rpartition(".")[2],
        evidence=None if evidence is None else evidence_message(evidence),
        reason=getattr(event, "reason", ""),
        at=timestamp(event.at),
        position=stored.position,
    )
    place = {"deployment": terms.name, "release": terms.number, "place": stored.version}
    look_key = {"look_id": f"{terms.deployment_id}/{stored.version}"}
    return [Put(RELEASES, key, body, values), Put(LOOKS, look_key, look.SerializeToString(), place)]


def release_message(release: Release, position: int) -> pb.Release:
    """A release as it is answered."""
    terms = release.terms
    return pb.Release(
        deployment=terms.name,
        number=terms.number,
        model=terms.model,
        incumbent=terms.incumbent.version,
        candidate=terms.candidate.version,
        plan=plan_message(terms.plan),
        state=STATES[release.phase],
        step=release.step + 1,
        percent=release.percent,
        evidence=evidence_message(release.evidence),
        reason=release.reason,
        author=terms.by,
        started_at=timestamp(terms.at),
        step_at=timestamp(release.step_at),
        ended_at=None if release.ended_at is None else timestamp(release.ended_at),
        position=position,
        purpose=terms.reason,
    )


def plan_message(plan: Plan) -> pb.ReleasePlan:
    return pb.ReleasePlan(
        pattern=PATTERNS[plan.pattern],
        steps=plan.steps,
        alpha=plan.alpha,
        error_margin=plan.error_margin,
        latency_margin=plan.latency_margin,
        latency_limit_ms=plan.latency_limit_ms,
        outcome=None if plan.outcome is None else _outcome_plan(plan.outcome),
        step_s=plan.step_s,
        step_requests=plan.step_requests,
        longest_s=plan.longest_s,
    )


def _outcome_plan(plan: OutcomePlan) -> pb.ReleaseOutcome:
    return pb.ReleaseOutcome(
        metric=ab.AbMetric.Value(f"AB_METRIC_{plan.metric.upper()}"),
        effect=plan.effect,
        criterion=CRITERIA[plan.criterion],
        baseline=plan.baseline,
        sd=plan.sd,
        threshold=plan.threshold,
        higher_is_better=plan.higher_is_better,
        method=ab.AbMethod.Value(f"AB_METHOD_{(plan.method or 'unspecified').upper()}"),
        lateness_s=plan.lateness_s,
    )


def evidence_message(evidence: Evidence) -> pb.ReleaseEvidence:
    """What is known in a step, counted from 1."""
    outcome, mirrored = evidence.outcome, evidence.mirrored
    return pb.ReleaseEvidence(
        step=evidence.step + 1,
        incumbent=_counts(evidence.incumbent),
        candidate=_counts(evidence.candidate),
        compared=[
            pb.ReleaseComparison(**{name: getattr(found, name) for name in found.__struct_fields__})
            for found in evidence.compared
        ],
        outcome=None
        if outcome is None
        else pb.ReleaseOutcomeEvidence(**{name: getattr(outcome, name) for name in outcome.__struct_fields__}),
        mirrored=None
        if mirrored is None
        else pb.ReleaseMirrored(**{name: getattr(mirrored, name) for name in mirrored.__struct_fields__}),
    )


def _counts(counts: Counts) -> pb.ReleaseCounts:
    return pb.ReleaseCounts(requests=counts.requests, errors=counts.errors, slow=counts.slow)
