"""Models, their versions, and the rules of their promotion."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

import msgspec

from modelog.types.artifacts import Artifact, DatasetRef
from modelog.types.records import Record


class TensorSpec(Record):
    name: str
    datatype: str
    shape: List[int] = []
    columns: List[str] = []
    kinds: List[str] = []


class Signature(Record):
    """What a model takes and gives."""

    inputs: List[TensorSpec] = []
    outputs: List[TensorSpec] = []


class Review(Record):
    reviewer: str = ""
    decision: str = ""
    comment: str = ""
    at: Optional[datetime] = None
    approval_id: str = ""


class ModelEnvironment(Record):
    """What a version was made in; `packages` is package name to version."""

    python: str = ""
    platform: str = ""
    packages: Dict[str, str] = {}
    container_image: str = ""
    git_commit: str = ""


class ModelVersion(Record):
    model: str = ""
    version: str = ""
    stage: str = ""
    author: str = ""
    description: str = ""
    run_id: str = ""
    datasets: List[DatasetRef] = []
    flavor: str = ""
    artifact: Optional[Artifact] = None
    signature: Optional[Signature] = None
    metrics: Dict[str, float] = {}
    tags: Dict[str, str] = {}
    reviews: List[Review] = []
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    position: int = 0
    number: int = 0
    aliases: List[str] = []
    artifacts: List[Artifact] = []
    flavors: Dict[str, Dict[str, Any]] = {}
    hyperparameters: Optional[Dict[str, Any]] = None
    environment: Optional[ModelEnvironment] = None
    source: str = ""
    stage_by: str = ""
    stage_at: Optional[datetime] = None
    recorded_at: Optional[datetime] = None


class Alias(Record):
    """A name that points to one version."""

    alias: str = ""
    version: str = ""


class ModelFact(Record):
    """Who did what to a model or a version, and when; only the fields of its kind are set."""

    position: int = 0
    at: Optional[datetime] = None
    by: str = ""
    kind: str = ""
    version: str = ""
    from_stage: str = ""
    to_stage: str = ""
    decision: str = ""
    approval_id: str = ""
    reason: str = ""
    alias: str = ""
    from_version: str = ""
    tags_set: Dict[str, str] = {}
    tags_removed: List[str] = []
    description: str = ""
    change: int = 0
    change_decision: str = ""


class MetricThreshold(Record):
    """What a metric must be before a version goes to a stage."""

    metric: str
    minimum: Optional[float] = None
    maximum: Optional[float] = None


class StageRules(Record):
    """What it takes to go to STAGE_STAGING or STAGE_PRODUCTION."""

    stage: str
    reviewers: int = 0
    thresholds: List[MetricThreshold] = []
    needs_change_request: bool = False


class FreezeWindow(Record):
    """A time in which nothing is promoted to these stages; none means all."""

    starts: datetime
    ends: datetime
    reason: str = ""
    stages: List[str] = []


class PromotionRules(Record):
    """The rules of promotions; a stage that is not named has those that every platform begins with."""

    stages: List[StageRules] = []
    freezes: List[FreezeWindow] = []


class PromotionPolicy(Record):
    """One version of the rules; 0 is what every platform begins with."""

    version: int = 0
    rules: PromotionRules = msgspec.field(default_factory=PromotionRules)
    by: str = ""
    reason: str = ""
    at: Optional[datetime] = None
    position: int = 0
    workspace: str = ""


class RecordedPromotion(Record):
    """A promotion that happened, with all that its rules looked at."""

    model: str = ""
    version: str = ""
    from_stage: str = ""
    to_stage: str = ""
    by: str = ""
    at: Optional[datetime] = None
    reason: str = ""
    position: int = 0
    policy_version: int = 0
    author: str = ""
    metrics: Dict[str, float] = {}
    approved_by: List[str] = []
    rejected_by: str = ""
    rejection: str = ""


class RefusedPromotion(Record):
    """A promotion that other rules would have refused, and why."""

    promotion: RecordedPromotion
    reasons: List[str] = []


class Replay(Record):
    """What rules would have done with the promotions that happened."""

    considered: int = 0
    refused: List[RefusedPromotion] = []


class Model(Record):
    id: str = ""
    name: str = ""
    description: str = ""
    author: str = ""
    tags: Dict[str, str] = {}
    created_at: Optional[datetime] = None
    versions: List[ModelVersion] = []
    position: int = 0
    type: str = ""
    aliases: List[Alias] = []
    updated_at: Optional[datetime] = None
    recorded_at: Optional[datetime] = None
    workspace: str = ""
    project: str = ""


class ModelCount(Record):
    """How many models have a value; `key` is the name of a tag."""

    key: str = ""
    value: str = ""
    models: int = 0


class ModelFacet(Record):
    """What models are counted by: "flavor", "stage", "type" or "tag"; the commonest first; whether there are more."""

    name: str = ""
    counts: List[ModelCount] = []
    more: bool = False


class ModelCounts(Record):
    """How many models there are, and how many of them have each value."""

    models: int = 0
    facets: List[ModelFacet] = []
