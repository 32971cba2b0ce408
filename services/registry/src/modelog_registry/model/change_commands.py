"""What may be asked of a change request."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_common.domain.semver import SemanticVersion

from modelog_registry.model.change_events import ChangeDecision, Evidence, Risk
from modelog_registry.model.stage import Stage
from modelog_registry.rules import BEGINNING, PolicyVersion


@dataclass(frozen=True)
class RequestChange:
    """Ask for a version to go to a stage."""

    model: str
    version: SemanticVersion
    title: str
    to_stage: Stage
    risk: Risk
    risk_reasons: tuple[str, ...]
    description: str = ""
    deployment: str = ""
    reviewers: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class AttachEvidence:
    """Add something that the request leans on, or another version of what has the same name."""

    model: str
    change: int
    evidence: Evidence


@dataclass(frozen=True)
class AskReviewers:
    """Ask more people to look at it."""

    model: str
    change: int
    asked: tuple[str, ...]


@dataclass(frozen=True)
class CommentChange:
    """Say something about it."""

    model: str
    change: int
    comment: str


@dataclass(frozen=True)
class ReviewChange:
    """Approve, ask for changes or reject; `seen` is the revision of the evidence that the reviewer looked at."""

    model: str
    change: int
    decision: ChangeDecision
    comment: str
    seen: int | None = None


@dataclass(frozen=True)
class WithdrawChange:
    """Do not ask for it any more."""

    model: str
    change: int
    reason: str = ""


@dataclass(frozen=True)
class ApplyChange:
    """Carry it out, by the rules of `policy`."""

    model: str
    change: int
    archive_others: bool = False
    policy: PolicyVersion = BEGINNING


ChangeCommand = (
    RequestChange | AttachEvidence | AskReviewers | CommentChange | ReviewChange | WithdrawChange | ApplyChange
)
