"""What happens to a change request: somebody asks for a promotion, others look at it, and somebody applies it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from modelog_common.events.types import event

from modelog_registry.model.stage import Stage


class Risk(StrEnum):
    """What could go wrong, as whoever asks for the change sees it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ChangeDecision(StrEnum):
    """What a review of a change request ended with."""

    APPROVED = "approved"
    CHANGES_ASKED = "changes_asked"
    REJECTED = "rejected"


class EvidenceKind(StrEnum):
    """What a piece of evidence is."""

    COMPARISON = "comparison"
    VALIDATION_REPORT = "validation_report"
    MODEL_CARD = "model_card"
    RUN = "run"
    OTHER = "other"


class Evidence(msgspec.Struct, frozen=True):
    """What a request leans on, as it was seen: `digest` is the SHA-256 of it.

    What the registry itself tells is seen as of `position`; a file lies in the artifact store, and has no position.
    """

    name: str
    kind: EvidenceKind
    link: str
    digest: str
    position: int = 0


@event("registry.ChangeRequested")
class ChangeRequested:
    """Somebody asks for a version to go to a stage; requests of a model are counted from 1.

    All of `reviewers` must approve; those of `asked` may.
    """

    model_id: str
    model: str
    version: str
    change: int
    title: str
    description: str
    to_stage: Stage
    deployment: str
    risk: Risk
    risk_reasons: tuple[str, ...]
    reviewers: tuple[str, ...]
    asked: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    by: str
    request_id: str
    at: datetime


@event("registry.ChangeEvidenceAttached")
class ChangeEvidenceAttached:
    """The request leans on something new, or on another version of it: approvals that were given before are stale."""

    model_id: str
    model: str
    version: str
    change: int
    evidence: Evidence
    by: str
    at: datetime


@event("registry.ChangeReviewersAsked")
class ChangeReviewersAsked:
    """More people were asked to look at the request."""

    model_id: str
    model: str
    version: str
    change: int
    asked: tuple[str, ...]
    by: str
    at: datetime


@event("registry.ChangeCommented")
class ChangeCommented:
    """Somebody said something about the request."""

    model_id: str
    model: str
    version: str
    change: int
    comment: str
    by: str
    at: datetime


@event("registry.ChangeReviewed")
class ChangeReviewed:
    """Somebody other than the version's author and whoever asked said yes, not yet, or no.

    `evidence_revision` counts the evidence that they saw; only an approval has an `approval_id`.
    """

    model_id: str
    model: str
    version: str
    change: int
    decision: ChangeDecision
    comment: str
    evidence_revision: int
    approval_id: str
    by: str
    at: datetime


@event("registry.ChangeWithdrawn")
class ChangeWithdrawn:
    """Whoever asked does not ask any more."""

    model_id: str
    model: str
    version: str
    change: int
    reason: str
    by: str
    at: datetime


@event("registry.ChangeApplied")
class ChangeApplied:
    """The request was carried out: the promotion is the next event."""

    model_id: str
    model: str
    version: str
    change: int
    approvals: tuple[str, ...]
    by: str
    at: datetime


ChangeEvent = (
    ChangeRequested
    | ChangeEvidenceAttached
    | ChangeReviewersAsked
    | ChangeCommented
    | ChangeReviewed
    | ChangeWithdrawn
    | ChangeApplied
)
