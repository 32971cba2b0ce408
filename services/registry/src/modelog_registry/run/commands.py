"""What may be asked of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelog_registry.artifact import Artifact
from modelog_registry.run.events import DatasetInput, Environment, Point, RunDataset, RunModel, RunStatus


@dataclass(frozen=True)
class Measured:
    """One value of a metric, finite or not; `at` None means now."""

    name: str
    value: float
    step: int = 0
    at: datetime | None = None


@dataclass(frozen=True)
class StartRun:
    """Begin a run; its id belongs to the request."""

    run_id: str
    experiment: str
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[RunDataset, ...] = ()
    environment: Environment | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    experiment_id: str = ""
    parent_run_id: str = ""
    started_at: datetime | None = None


@dataclass(frozen=True)
class LogRun:
    """Add to a running run."""

    run_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Measured, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    environment: Environment | None = None


@dataclass(frozen=True)
class EndRun:
    """End a run."""

    run_id: str
    status: RunStatus
    error: str = ""


@dataclass(frozen=True)
class UpdateRun:
    """Rename a run or change its status; None leaves either as it is."""

    run_id: str
    name: str | None = None
    status: RunStatus | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class TagRun:
    """Set tags, and take others away."""

    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogInputs:
    """Tell what a run read."""

    run_id: str
    datasets: tuple[DatasetInput, ...] = ()
    models: tuple[RunModel, ...] = ()


@dataclass(frozen=True)
class LogOutputs:
    """Tell which logged models a run made."""

    run_id: str
    models: tuple[RunModel, ...] = ()


@dataclass(frozen=True)
class RemoveRunArtifacts:
    """Take files off a run; each path is a file, or a folder with all that is in it."""

    run_id: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class DeleteRun:
    """Hide a run."""

    run_id: str


@dataclass(frozen=True)
class RestoreRun:
    """Take the deletion back."""

    run_id: str


@dataclass(frozen=True)
class SealMetrics:
    """Vouch for batches of points that the store of curves holds."""

    run_id: str
    first: int
    last: int
    count: int
    digest: str
    latest: tuple[Point, ...]


RunCommand = (
    StartRun
    | LogRun
    | EndRun
    | UpdateRun
    | TagRun
    | LogInputs
    | LogOutputs
    | RemoveRunArtifacts
    | DeleteRun
    | RestoreRun
    | SealMetrics
)
