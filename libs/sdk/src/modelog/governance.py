"""What calls about change requests and model cards answer with, field by field as in the contracts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

import msgspec

from modelog.types import Artifact, Record


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


class ChangeOutlook(Record):
    """Whether a request could be applied; `because` says why not, as applying it would."""

    can_be_applied: bool = False
    because: str = ""


class CardOwner(Record):
    name: str
    contact: str = ""


class CardLicense(Record):
    """An SPDX identifier, or a text of its own."""

    identifier: str = ""
    custom_text: str = ""


class CardCitation(Record):
    style: str = ""
    citation: str = ""


class CardRisk(Record):
    name: str
    mitigation_strategy: str = ""


class CardParts(Record, omit_defaults=True):
    """What people write in a model card; longer texts are Markdown. What is empty is not written."""

    overview: str = ""
    documentation: str = ""
    owners: List[CardOwner] = []
    diff: str = ""
    licenses: List[CardLicense] = []
    references: List[str] = []
    citations: List[CardCitation] = []
    model_architecture: str = ""
    users: List[str] = []
    use_cases: List[str] = []
    limitations: List[str] = []
    tradeoffs: List[str] = []
    ethical_considerations: List[CardRisk] = []


class ModelCard(Record):
    """The card of a version: `card` is JSON after Google's Model Card Toolkit, `facts` what that has no place for."""

    model: str = ""
    version: str = ""
    card: Dict[str, Any] = {}
    digest: str = ""
    facts: Dict[str, Any] = {}
    parts: CardParts = msgspec.field(default_factory=CardParts)
    missing: List[str] = []
    edited_by: str = ""
    edited_at: Optional[datetime] = None
    position: int = 0
    taken_from: str = ""


class RenderedModelCard(Record):
    """The same as a page that needs nothing from elsewhere, and as Markdown."""

    html: str = ""
    markdown: str = ""
    digest: str = ""
    position: int = 0


class ModelBom(Record):
    """A bill of materials: `json` is the document, `digest` its SHA-256."""

    json: str = ""
    digest: str = ""
    position: int = 0


class ModelSignature(Record):
    """A signature that the platform keeps; `key` is the SHA-256 of the public key that checks it."""

    model: str = ""
    version: str = ""
    key: str = ""
    signature: Optional[Artifact] = None
    files: List[Artifact] = []
    by: str = ""
    at: Optional[datetime] = None
    position: int = 0


class SlaTargets(Record):
    """What is promised of a model; what is None is not promised."""

    latency_p50_ms: Optional[float] = None
    latency_p99_ms: Optional[float] = None
    availability_percent: Optional[float] = None
    freshness_hours: Optional[float] = None


class ModelSla(Record):
    """One version of a model's targets; version 0 when nobody has set any."""

    model: str = ""
    version: int = 0
    targets: SlaTargets = msgspec.field(default_factory=SlaTargets)
    reason: str = ""
    by: str = ""
    at: Optional[datetime] = None
    position: int = 0


class RetirementRule(Record):
    """Which versions are retired: of STAGE_STAGING, say, RETIREMENT_CONDITION_UNUSED for `after_days`."""

    stage: str
    condition: str
    after_days: int
    announce_days: int


class RetirementPolicy(Record):
    """One version of the rules of retirement; version 0 has none."""

    version: int = 0
    rules: List[RetirementRule] = []
    reason: str = ""
    by: str = ""
    at: Optional[datetime] = None
    position: int = 0


class Retirement(Record):
    """The last retirement that was announced of a version, and what became of it."""

    model: str = ""
    version: str = ""
    stage: str = ""
    state: str = ""
    reason: str = ""
    announced_at: Optional[datetime] = None
    due: Optional[datetime] = None
    policy_version: int = 0
    ended_by: str = ""
    ended_at: Optional[datetime] = None
    ended_because: str = ""
    position: int = 0


class RetirementCheck(Record):
    """How many models were looked at, and in how many something happened."""

    considered: int = 0
    changed: int = 0
