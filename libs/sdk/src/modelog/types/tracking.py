"""Experiments, runs, logged models, and how they are searched."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

from modelog.types.artifacts import Artifact
from modelog.types.records import Record


class Condition(Record):
    """One condition of a search: field FIELD_ATTRIBUTE, FIELD_TAG ..., its key, COMPARISON_EQUAL and so on, a value."""

    field: str
    key: str
    comparison: str
    text: str = ""
    number: float = 0.0
    texts: List[str] = []


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
