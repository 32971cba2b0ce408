"""From messages about change requests to commands. The server has checked them against the contract's rules before."""

from __future__ import annotations

from modelog_common.domain.semver import SemanticVersion
from modelog_proto.registry.v1 import change_pb2 as pb

from modelog_registry.model.change_commands import (
    ApplyChange,
    AskReviewers,
    AttachEvidence,
    CommentChange,
    RequestChange,
    ReviewChange,
    WithdrawChange,
)
from modelog_registry.model.change_events import Evidence
from modelog_registry.model.change_state import ChangeState
from modelog_registry.read.messages import STAGE_OF
from modelog_registry.read.models.change_messages import DECISIONS, KINDS, RISKS, STATES

_DECISIONS = {number: decision for decision, number in DECISIONS.items()}
_KINDS = {number: kind for kind, number in KINDS.items()}
_RISKS = {number: risk for risk, number in RISKS.items()}
_STATES = {number: state for state, number in STATES.items()}


def request_change(request: pb.OpenChangeRequestRequest) -> RequestChange:
    return RequestChange(
        model=request.model,
        version=SemanticVersion.parse(request.version),
        title=request.title,
        to_stage=STAGE_OF[request.to_stage],
        risk=_RISKS[request.risk],
        risk_reasons=tuple(request.risk_reasons),
        description=request.description,
        deployment=request.deployment,
        reviewers=tuple(request.reviewers),
        asked=tuple(request.asked),
        evidence=tuple(_evidence(given) for given in request.evidence),
    )


def attach_evidence(request: pb.AttachEvidenceRequest) -> AttachEvidence:
    return AttachEvidence(request.model, request.number, _evidence(request.evidence))


def ask_reviewers(request: pb.AskReviewersRequest) -> AskReviewers:
    return AskReviewers(request.model, request.number, tuple(request.asked))


def comment_change(request: pb.CommentOnChangeRequestRequest) -> CommentChange:
    return CommentChange(request.model, request.number, request.comment)


def review_change(request: pb.ReviewChangeRequestRequest) -> ReviewChange:
    seen = request.evidence_revision if request.HasField("evidence_revision") else None
    return ReviewChange(request.model, request.number, _DECISIONS[request.decision], request.comment, seen)


def withdraw_change(request: pb.WithdrawChangeRequestRequest) -> WithdrawChange:
    return WithdrawChange(request.model, request.number, request.reason)


def apply_change(request: pb.ApplyChangeRequestRequest) -> ApplyChange:
    return ApplyChange(request.model, request.number, request.archive_others)


def state_wanted(request: pb.ListChangeRequestsRequest) -> ChangeState | None:
    """None means any."""
    return _STATES.get(request.state)


def _evidence(given: pb.EvidenceInput) -> Evidence:
    return Evidence(given.name, _KINDS[given.kind], given.link, given.digest)
