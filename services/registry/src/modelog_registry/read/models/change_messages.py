"""The messages of the contract of change requests, made of their states and events."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from modelog_proto.registry.v1 import change_pb2 as pb
from modelog_proto.registry.v1 import model_pb2

from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeDecision,
    ChangeEvent,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
    EvidenceKind,
    Risk,
)
from modelog_registry.model.change_state import Attached, ChangeRequest, ChangeState, Given
from modelog_registry.read.messages import STAGES, timestamp

RISKS = {Risk.LOW: pb.RISK_LOW, Risk.MEDIUM: pb.RISK_MEDIUM, Risk.HIGH: pb.RISK_HIGH}
STATES = {
    ChangeState.OPEN: pb.CHANGE_STATE_OPEN,
    ChangeState.APPROVED: pb.CHANGE_STATE_APPROVED,
    ChangeState.REJECTED: pb.CHANGE_STATE_REJECTED,
    ChangeState.WITHDRAWN: pb.CHANGE_STATE_WITHDRAWN,
    ChangeState.APPLIED: pb.CHANGE_STATE_APPLIED,
}
DECISIONS = {
    ChangeDecision.APPROVED: model_pb2.CHANGE_DECISION_APPROVED,
    ChangeDecision.CHANGES_ASKED: model_pb2.CHANGE_DECISION_CHANGES_ASKED,
    ChangeDecision.REJECTED: model_pb2.CHANGE_DECISION_REJECTED,
}
KINDS = {
    EvidenceKind.COMPARISON: pb.EVIDENCE_KIND_COMPARISON,
    EvidenceKind.VALIDATION_REPORT: pb.EVIDENCE_KIND_VALIDATION_REPORT,
    EvidenceKind.MODEL_CARD: pb.EVIDENCE_KIND_MODEL_CARD,
    EvidenceKind.RUN: pb.EVIDENCE_KIND_RUN,
    EvidenceKind.OTHER: pb.EVIDENCE_KIND_OTHER,
}


def change_message(change: ChangeRequest, position: int) -> pb.ChangeRequest:
    """A request as of its last event, which stands at `position`."""
    asked = change.requested
    message = pb.ChangeRequest(
        model=asked.model,
        number=asked.change,
        version=asked.version,
        title=asked.title,
        description=asked.description,
        to_stage=STAGES[asked.to_stage],
        deployment=asked.deployment,
        risk=RISKS[asked.risk],
        risk_reasons=asked.risk_reasons,
        reviewers=asked.reviewers,
        asked=change.asked,
        state=STATES[change.state],
        by=asked.by,
        at=timestamp(asked.at),
        updated_at=timestamp(change.updated_at),
        evidence=[_evidence(attached) for attached in change.evidence.values()],
        evidence_revision=change.evidence_revision,
        reviews=[_review(given, given in change.in_force) for given in change.reviews],
        comments=[pb.ChangeComment(by=c.by, at=timestamp(c.at), text=c.comment) for c in change.comments],
        approved_by=[given.review.by for given in change.approvals],
        missing=change.missing,
        position=position,
    )
    by, at, why = _end(change)
    if at is not None:
        message.ended_by, message.ended_because = by, why
        message.ended_at.CopyFrom(timestamp(at))
    return message


def change_fact(event: ChangeEvent) -> model_pb2.ModelFact:
    """An event as a fact of the model's history, but for its position and time."""
    fact = model_pb2.ModelFact(version=event.version, by=event.by, change=event.change)
    match event:
        case ChangeRequested():
            fact.kind, fact.reason = model_pb2.FACT_KIND_CHANGE_REQUESTED, event.title
            fact.to_stage, fact.description = STAGES[event.to_stage], event.description
        case ChangeEvidenceAttached():
            fact.kind, fact.reason = model_pb2.FACT_KIND_CHANGE_EVIDENCE_ATTACHED, event.evidence.name
        case ChangeReviewersAsked():
            fact.kind, fact.reason = model_pb2.FACT_KIND_CHANGE_REVIEWERS_ASKED, ", ".join(event.asked)
        case ChangeCommented():
            fact.kind, fact.reason = model_pb2.FACT_KIND_CHANGE_COMMENTED, event.comment
        case ChangeReviewed():
            fact.kind, fact.reason = model_pb2.FACT_KIND_CHANGE_REVIEWED, event.comment
            fact.change_decision, fact.approval_id = DECISIONS[event.decision], event.approval_id
        case ChangeWithdrawn():
            fact.kind, fact.reason = model_pb2.FACT_KIND_CHANGE_WITHDRAWN, event.reason
        case ChangeApplied():
            fact.kind = model_pb2.FACT_KIND_CHANGE_APPLIED
        case _:
            assert_never(event)
    return fact


def _end(change: ChangeRequest) -> tuple[str, datetime | None, str]:
    """By whom, when and why it ended; no time when it has not."""
    applied, withdrawn, rejection = change.applied, change.withdrawn, change.rejection
    if applied is not None:
        return applied.by, applied.at, ""
    if withdrawn is not None:
        return withdrawn.by, withdrawn.at, withdrawn.reason
    if rejection is not None:
        return rejection.by, rejection.at, rejection.comment
    return "", None, ""


def _evidence(attached: Attached) -> pb.Evidence:
    evidence = attached.evidence
    return pb.Evidence(
        name=evidence.name,
        kind=KINDS[evidence.kind],
        link=evidence.link,
        digest=evidence.digest,
        position=evidence.position,
        by=attached.by,
        at=timestamp(attached.at),
    )


def _review(given: Given, in_force: bool) -> pb.ChangeReview:
    review = given.review
    return pb.ChangeReview(
        reviewer=review.by,
        decision=DECISIONS[review.decision],
        comment=review.comment,
        at=timestamp(review.at),
        evidence_revision=review.evidence_revision,
        approval_id=review.approval_id,
        in_force=in_force,
    )
