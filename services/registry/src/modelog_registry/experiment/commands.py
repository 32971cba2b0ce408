"""What may be asked of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelog_registry.artifact import Artifact
from modelog_registry.place import DEFAULT_PLACE, Place


@dataclass(frozen=True)
class CreateExperiment:
    """Begin an experiment under a name that is its own."""

    experiment_id: str
    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    artifact_location: str = ""
    must_be_new: bool = False
    created_at: datetime | None = None
    place: Place = DEFAULT_PLACE


@dataclass(frozen=True)
class RenameExperiment:
    """Call it otherwise; the new name is its own already."""

    experiment_id: str
    name: str


@dataclass(frozen=True)
class DescribeExperiment:
    """Describe it otherwise."""

    experiment_id: str
    description: str


@dataclass(frozen=True)
class TagExperiment:
    """Set tags, and take others away."""

    experiment_id: str
    tags: Mapping[str, str]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class MoveExperiment:
    """Put it in another project, which is there."""

    experiment_id: str
    place: Place


@dataclass(frozen=True)
class AddExperimentArtifacts:
    """Add files that belong to none of its runs."""

    experiment_id: str
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class RemoveExperimentArtifacts:
    """Take files off it; each path is a file, or a folder with all that is in it."""

    experiment_id: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class DeleteExperiment:
    """Hide it."""

    experiment_id: str


@dataclass(frozen=True)
class RestoreExperiment:
    """Take the deletion back."""

    experiment_id: str


ExperimentCommand = (
    CreateExperiment
    | RenameExperiment
    | DescribeExperiment
    | TagExperiment
    | MoveExperiment
    | AddExperimentArtifacts
    | RemoveExperimentArtifacts
    | DeleteExperiment
    | RestoreExperiment
)
