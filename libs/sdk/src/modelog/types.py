"""What calls answer with. The fields are those of the contracts; times are datetimes, digests hexadecimal."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

import msgspec


class Record(msgspec.Struct, kw_only=True):
    """Base of all answers; fields that this release does not know are left out."""

    def to_dict(self) -> Dict[str, Any]:
        """The answer as plain JSON types."""
        plain = msgspec.to_builtins(self)
        assert isinstance(plain, dict)  # noqa: S101 - a Struct always becomes a dict
        return plain


class DatasetRef(Record):
    dataset: str
    version: int


class Artifact(Record):
    """A stored file: its path inside the run or version, SHA-256 and size."""

    path: str
    digest: str
    size_bytes: int = 0


class UploadedPart(Record):
    """A part of a file that the platform holds until the file is whole."""

    number: int = 0
    digest: str = ""
    size_bytes: int = 0


class Upload(Record):
    """A file on its way: `held_bytes` are held from its beginning; `stored` when nothing needs to be sent."""

    id: str
    expected_digest: str = ""
    size_bytes: int = 0
    parts: List[UploadedPart] = []
    held_bytes: int = 0
    stored: bool = False
    kept_until: Optional[datetime] = None


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


class Condition(Record):
    """One condition of a search: field FIELD_ATTRIBUTE, FIELD_TAG ..., its key, COMPARISON_EQUAL and so on, a value."""

    field: str
    key: str
    comparison: str
    text: str = ""
    number: float = 0.0
    texts: List[str] = []


class Column(Record):
    name: str
    type: str


class Expectation(Record):
    """Something that must hold of the data: not_null, unique, between, in_set, row_count or max_null_share."""

    kind: str
    column: str = ""
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    values: List[str] = []


class DatasetVersion(Record):
    dataset: str = ""
    version: int = 0
    label: str = ""
    digest: str = ""
    size_bytes: int = 0
    rows: int = 0
    schema: List[Column] = []
    expectations: List[Expectation] = []
    description: str = ""
    author: str = ""
    created_at: Optional[datetime] = None
    position: int = 0

    @property
    def ref(self) -> DatasetRef:
        return DatasetRef(dataset=self.dataset, version=self.version)


class Dataset(Record):
    id: str = ""
    name: str = ""
    latest_version: int = 0
    created_at: Optional[datetime] = None
    position: int = 0


class Experiment(Record):
    id: str = ""
    name: str = ""
    description: str = ""
    author: str = ""
    created_at: Optional[datetime] = None
    position: int = 0
    tags: Dict[str, str] = {}
    artifact_location: str = ""
    updated_at: Optional[datetime] = None
    deleted_at: Optional[datetime] = None
    recorded_at: Optional[datetime] = None
    workspace: str = ""
    project: str = ""


class MetricColumn(Record):
    """Points of one metric, as columns of one length."""

    name: str = ""
    steps: List[int] = []
    times_ms: List[int] = []
    values: List[float] = []


class ThinnedMetric(Record):
    """Points that stand for a curve of `total` points, of which `not_finite` are NaN or infinite.

    The others lie between `lowest` and `highest`.
    """

    points: Optional[MetricColumn] = None
    total: int = 0
    lowest: Optional[float] = None
    highest: Optional[float] = None
    not_finite: int = 0


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


class Order(Record):
    """What comes first in a search: field FIELD_ATTRIBUTE, FIELD_METRIC ... and its key."""

    field: str
    key: str
    descending: bool = False
    dataset_name: str = ""
    dataset_digest: str = ""


class MeasuredOn(Record):
    """A dataset that metrics were measured on; without a digest, any of this name."""

    dataset_name: str
    dataset_digest: str = ""


class MetricPoint(Record):
    name: str
    value: float
    step: int = 0
    at: Optional[datetime] = None


class Environment(Record):
    python: str = ""
    platform: str = ""
    packages: Dict[str, str] = {}
    git_commit: str = ""
    git_dirty: bool = False
    entry_point: str = ""
    source_digest: str = ""
    container_image: str = ""
    arguments: List[str] = []
    seeds: Dict[str, int] = {}
    hardware: Dict[str, str] = {}
    git_remote: str = ""
    git_diff: str = ""
    git_folder: str = ""


class RunDataset(Record):
    dataset: str
    version: int
    digest: str


class DatasetInput(Record):
    """A dataset that a run read, as its client describes it."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    tags: Dict[str, str] = {}


class RunModel(Record):
    """A logged model that a run read (step 0) or made."""

    model_id: str
    step: int = 0


class LoggedModelMetric(Record):
    """A metric of a logged model, as one run measured it."""

    name: str
    value: float
    step: int = 0
    at: Optional[datetime] = None
    run_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModel(Record):
    """A model that a run made, before anybody registers it."""

    id: str = ""
    experiment_id: str = ""
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    status: str = ""
    status_message: str = ""
    parameters: Dict[str, str] = {}
    tags: Dict[str, str] = {}
    metrics: List[LoggedModelMetric] = []
    artifacts: List[Artifact] = []
    author: str = ""
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    deleted_at: Optional[datetime] = None
    position: int = 0
    recorded_at: Optional[datetime] = None


class Run(Record):
    id: str = ""
    experiment: str = ""
    name: str = ""
    status: str = ""
    author: str = ""
    parameters: Optional[Dict[str, Any]] = None
    metrics: Dict[str, float] = {}
    points: List[MetricPoint] = []
    artifacts: List[Artifact] = []
    datasets: List[RunDataset] = []
    environment: Optional[Environment] = None
    tags: Dict[str, str] = {}
    started_at: Optional[datetime] = None
    ended_at: Optional[datetime] = None
    error: str = ""
    position: int = 0
    experiment_id: str = ""
    parent_run_id: str = ""
    recorded_at: Optional[datetime] = None
    deleted_at: Optional[datetime] = None
    last_points: List[MetricPoint] = []
    inputs: List[DatasetInput] = []
    model_inputs: List[RunModel] = []
    model_outputs: List[RunModel] = []


class CheckResult(Record):
    dataset: str = ""
    version: int = 0
    column: str = ""
    kind: str = ""
    passed: bool = False
    detail: str = ""


class Job(Record):
    id: str = ""
    spec: Dict[str, Any] = {}
    status: str = ""
    author: str = ""
    attempt: int = 0
    run_id: str = ""
    checks: List[CheckResult] = []
    metrics: Dict[str, float] = {}
    model_digest: str = ""
    registered_version: str = ""
    error: str = ""
    submitted_at: Optional[datetime] = None
    started_at: Optional[datetime] = None
    ended_at: Optional[datetime] = None
    position: int = 0

    @property
    def ended(self) -> bool:
        return self.status in ("JOB_STATUS_SUCCEEDED", "JOB_STATUS_FAILED", "JOB_STATUS_CANCELLED")


class Variant(Record):
    version: str = ""
    percent: float = 0.0
    model_digest: str = ""
    flavor: str = ""
    answered: int = 0


class Deployment(Record):
    id: str = ""
    name: str = ""
    model: str = ""
    environment: str = ""
    status: str = ""
    variants: List[Variant] = []
    signature: Optional[Signature] = None
    author: str = ""
    error: str = ""
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    position: int = 0


class Prediction(Record):
    prediction_id: str = ""
    deployment: str = ""
    model: str = ""
    version: str = ""
    model_digest: str = ""
    features: Dict[str, float] = {}
    outputs: List[float] = []
    event_time: Optional[datetime] = None
    answered_at: Optional[datetime] = None
    key: str = ""


class AlertChannel(Record):
    """Where alerts go: kind CHANNEL_KIND_WEBHOOK or CHANNEL_KIND_SLACK, and an http(s) address."""

    kind: str
    url: str


class Monitor(Record):
    id: str = ""
    name: str = ""
    deployment: str = ""
    reference: List[DatasetRef] = []
    window: str = ""
    author: str = ""
    created_at: Optional[datetime] = None
    predictions_watermark: Optional[datetime] = None
    outcomes_watermark: Optional[datetime] = None
    predictions: int = 0
    outcomes: int = 0
    reference_auc: float = 0.0
    reference_log_loss: float = 0.0
    settled_watermark: Optional[datetime] = None
    position: int = 0


class FeatureDrift(Record):
    feature: str = ""
    test: str = ""
    statistic: float = 0.0
    p_value: float = 0.0
    q_value: float = 0.0
    effect: float = 0.0
    psi: float = 0.0
    drifted: bool = False


class Quality(Record):
    rows: int = 0
    auc: float = 0.0
    auc_low: float = 0.0
    auc_high: float = 0.0
    log_loss: float = 0.0
    brier: float = 0.0
    base_rate: float = 0.0


class Window(Record):
    id: str = ""
    monitor: str = ""
    start: Optional[datetime] = None
    end: Optional[datetime] = None
    predictions: int = 0
    labelled: int = 0
    features: List[FeatureDrift] = []
    drifted_features: int = 0
    quality: Optional[Quality] = None
    by_version: Dict[str, Quality] = {}
    drift_alert: bool = False
    quality_alert: bool = False
    position: int = 0


class Alert(Record):
    id: str = ""
    monitor: str = ""
    window_id: str = ""
    kind: str = ""
    text: str = ""
    at: Optional[datetime] = None
    deliveries: Dict[str, str] = {}
    position: int = 0


class RetrainingPolicy(Record):
    id: str = ""
    name: str = ""
    monitor: str = ""
    on_drift: bool = False
    on_quality: bool = False
    job: Dict[str, Any] = {}
    dataset: str = ""
    evaluation_rows: int = 0
    canary_percent: float = 0.0
    canary_rows: int = 0
    author: str = ""
    position: int = 0


class Comparison(Record):
    """Champion against challenger on the same labelled rows; intervals are 95 %."""

    rows: int = 0
    champion_auc: float = 0.0
    challenger_auc: float = 0.0
    auc_difference: float = 0.0
    auc_low: float = 0.0
    auc_high: float = 0.0
    p_value: float = 0.0
    champion_log_loss: float = 0.0
    challenger_log_loss: float = 0.0
    log_loss_difference: float = 0.0
    log_loss_low: float = 0.0
    log_loss_high: float = 0.0
    challenger_wins: bool = False
    reason: str = ""


class Retraining(Record):
    id: str = ""
    policy: str = ""
    monitor: str = ""
    window_id: str = ""
    model: str = ""
    state: str = ""
    job_id: str = ""
    champion: str = ""
    challenger: str = ""
    evaluation: Optional[Comparison] = None
    canary: Optional[Comparison] = None
    reason: str = ""
    started_at: Optional[datetime] = None
    ended_at: Optional[datetime] = None
    position: int = 0


class SeriesPoint(Record):
    at: Optional[datetime] = None
    value: float = 0.0
    line: str = ""


class Node(Record):
    id: str = ""
    kind: str = ""
    name: str = ""
    attributes: Dict[str, str] = {}
    since: int = 0


class Edge(Record):
    source: str = msgspec.field(name="from", default="")
    target: str = msgspec.field(name="to", default="")
    kind: str = ""
    since: int = 0


class Graph(Record):
    nodes: List[Node] = []
    edges: List[Edge] = []


class CatalogueEntry(Record):
    """A thing as the catalogue describes it; `id` is a node of the lineage graph."""

    id: str = ""
    kind: str = ""
    title: str = ""
    text: str = ""
    tags: Dict[str, str] = {}
    since: int = 0


class Facet(Record):
    """How many of the things found have something in common."""

    name: str = ""
    count: int = 0


class Found(Record):
    """A page of the catalogue: what matches best, how many there are in all, and of which kinds and tags."""

    entries: List[CatalogueEntry] = []
    total: int = 0
    kinds: List[Facet] = []
    tags: List[Facet] = []
    next_page_token: str = ""


class Event(Record):
    """One event of the audit trail."""

    position: int = 0
    event_id: str = ""
    stream: str = ""
    version: int = 0
    type: str = ""
    schema: int = 0
    recorded_at: Optional[datetime] = None
    tenant: str = ""
    actor: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace_id: str = ""
    payload: Optional[Dict[str, Any]] = None
    sentence: str = ""


class ExactEvent(Event):
    """An event with its payload's bytes as they are stored and hashed."""

    data: bytes = b""


class EntityChanges(Record):
    """What happened to one model, deployment, run ... between two moments; `sentences` tell it in words."""

    kind: str = ""
    name: str = ""
    stream: str = ""
    is_new: bool = False
    events: int = 0
    sentences: List[str] = []
    left_off: int = 0


class Difference(Record):
    """What changed after position `since` and up to `until`."""

    since: int = 0
    until: int = 0
    first_at: Optional[datetime] = None
    last_at: Optional[datetime] = None
    events: int = 0
    events_by_type: Dict[str, int] = {}
    entities: List[EntityChanges] = []
    left_off: int = 0


class Checkpoint(Record):
    size: int = 0
    root: str = ""
    note: str = ""
    public_key: str = ""


class Consistency(Record):
    """The proof that the log of `old_size` events is the beginning of that of `checkpoint`."""

    old_size: int = 0
    new_size: int = 0
    path: List[str] = []
    checkpoint: Checkpoint = msgspec.field(default_factory=Checkpoint)


class AuditReport(Record):
    intact: bool = False
    events: int = 0
    root: str = ""
    findings: List[str] = []
    first_altered: int = 0


class User(Record):
    name: str = ""
    roles: List[str] = []
    tenant: str = ""
    created_at: Optional[datetime] = None
    position: int = 0
    full_name: str = ""
    email: str = ""
    erased_at: Optional[datetime] = None


class Erasure(Record):
    """Somebody whose key was destroyed; `subject` looks like "user/bob"."""

    tenant: str = ""
    subject: str = ""
    by: str = ""
    at: Optional[datetime] = None
    reason: str = ""


class Token(Record):
    token: str = ""
    expires_at: Optional[datetime] = None


class Identity(Record):
    user: str = ""
    tenant: str = ""
    roles: List[str] = []
    permissions: List[str] = []


class ProjectionStatus(Record):
    name: str = ""
    position: int = 0
    error: str = ""


class StreamStatus(Record):
    name: str = ""
    topic: str = ""
    lag: int = 0
    state: str = ""


class TopicProgress(Record):
    sequence: int = 0
    topic: str = ""


class DeadLetter(Record):
    id: str = ""
    service: str = ""
    consumer: str = ""
    topic: str = ""
    partition: int = 0
    offset: int = 0
    reason: str = ""
    attempts: int = 0
    state: str = ""
    buried_at: Optional[datetime] = None
    changed_at: Optional[datetime] = None
    headers: Dict[str, str] = {}
    value: bytes = b""


class Webhook(Record):
    """Where the registry tells of events; the secret is never told."""

    id: str = ""
    name: str = ""
    description: str = ""
    url: str = ""
    events: List[str] = []
    active: bool = False
    model: str = ""
    has_secret: bool = False
    author: str = ""
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    position: int = 0


class Attempt(Record):
    """What came of sending once: `status` is 0, and `error` says why, when nobody answered."""

    number: int = 0
    at: Optional[datetime] = None
    status: int = 0
    latency_ms: float = 0.0
    answer: str = ""
    error: str = ""


class Delivery(Record):
    """One event on its way to one webhook; a list leaves `body` and `tried` out."""

    id: str = ""
    webhook_id: str = ""
    event: str = ""
    position: int = 0
    state: str = ""
    attempts: int = 0
    due_at: Optional[datetime] = None
    created_at: Optional[datetime] = None
    changed_at: Optional[datetime] = None
    outcome: str = ""
    body: str = ""
    tried: List[Attempt] = []


class ServiceStatus(Record):
    service: str = ""
    version: str = ""
    pid: int = 0
    uptime_s: float = 0.0
    memory_bytes: int = 0
    log_position: int = 0
    projections: List[ProjectionStatus] = []
    endpoints: Dict[str, str] = {}
    streams: List[StreamStatus] = []


class ServiceHealth(Record):
    service: str = ""
    health: str = ""
    status: Optional[ServiceStatus] = None


class ServiceRebuilt(Record):
    service: str = ""
    projections: List[ProjectionStatus] = []
