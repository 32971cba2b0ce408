"""What may be asked of a logged model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelog_registry.artifact import Artifact
from modelog_registry.logged_model.events import LoggedModelStatus
from modelog_registry.run.commands import Measured


@dataclass(frozen=True)
class CreateLoggedModel:
    """Begin a logged model; its id belongs to the request."""

    model_id: str
    experiment_id: str
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True)
class MeasuredModel:
    """One value of a metric, and on what which run measured it."""

    measured: Measured
    run_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


@dataclass(frozen=True)
class AddToLoggedModel:
    """Tell more of it."""

    model_id: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    removed_tags: tuple[str, ...] = ()
    metrics: tuple[MeasuredModel, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True)
class FinaliseLoggedModel:
    """Say that it is whole, or that it failed."""

    model_id: str
    status: LoggedModelStatus
    message: str = ""


@dataclass(frozen=True)
class RemoveLoggedModelArtifacts:
    """Take files off it; each path is a file, or a folder with all that is in it."""

    model_id: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class DeleteLoggedModel:
    """Hide it."""

    model_id: str


LoggedModelCommand = (
    CreateLoggedModel | AddToLoggedModel | FinaliseLoggedModel | RemoveLoggedModelArtifacts | DeleteLoggedModel
)
