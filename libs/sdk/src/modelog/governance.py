"""What calls about change requests answer with, field by field as in the contracts."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types import Record


class EvidenceInput(Record):
    """What a request leans on: a file in the artifact store by its digest, or a run or versions by their link."""

    name: str
    kind: str
    link: str = ""
    digest: str = ""


class Evidence(Record):
    """The same as it was seen: `digest` is its SHA-256, and what is no file can be seen again as of `position`."""

    name: str = ""
    kind: str = ""
    link: str = ""
    digest: str = ""
    position: int = 0
    by: str = ""
    at: Optional[datetime] = None


class ChangeComment(Record):
    by: str = ""
    at: Optional[datetime] = None
    text: str = ""


class ChangeReview(Record):
    """A review; `in_force` when it is its reviewer's last word, on the evidence as it is now."""

    reviewer: str = ""
    decision: str = ""
    comment: str = ""
    at: Optional[datetime] = None
    evidence_revision: int = 0
    approval_id: str = ""
    in_force: bool = False


class ChangeRequest(Record):
    """A request to promote a version."""

    model: str = ""
    number: int = 0
    version: str = ""
    title: str = ""
    description: str = ""
    to_stage: str = ""
    deployment: str = ""
    risk: str = ""
    risk_reasons: List[str] = []
    reviewers: List[str] = []
    asked: List[str] = []
    state: str = ""
    by: str = ""
    at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    evidence: List[Evidence] = []
    evidence_revision: int = 0
    reviews: List[ChangeReview] = []
    comments: List[ChangeComment] = []
    approved_by: List[str] = []
    missing: List[str] = []
    ended_by: str = ""
    ended_at: Optional[datetime] = None
    ended_because: str = ""
    position: int = 0
