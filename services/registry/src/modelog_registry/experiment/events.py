"""What happens to an experiment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from modelog_common.events.types import event

from modelog_registry.artifact import Artifact
from modelog_registry.place import DEFAULT_PLACE, Place


@event("registry.ExperimentCreated", version=4)
class ExperimentCreated:
    """An experiment began. `tenant` is empty in events of the first version, whose id was derived from it.

    `created_at` is what its creator said of when it began elsewhere, None when it said nothing.
    """

    experiment_id: str
    name: str
    description: str
    author: str
    at: datetime
    tenant: str
    tags: dict[str, str]
    artifact_location: str
    created_at: datetime | None = None
    place: Place = DEFAULT_PLACE


@event("registry.ExperimentRenamed")
class ExperimentRenamed:
    """It is called otherwise from now on."""

    experiment_id: str
    old_name: str
    name: str
    by: str
    at: datetime


@event("registry.ExperimentDescribed")
class ExperimentDescribed:
    """It is described otherwise from now on."""

    experiment_id: str
    description: str
    by: str
    at: datetime


@event("registry.ExperimentTagged")
class ExperimentTagged:
    """Tags were set, and others taken away."""

    experiment_id: str
    tags: dict[str, str]
    removed: tuple[str, ...]
    by: str
    at: datetime


@event("registry.ExperimentMoved")
class ExperimentMoved:
    """It belongs to another project from now on."""

    experiment_id: str
    name: str
    old_place: Place
    place: Place
    by: str
    at: datetime


@event("registry.ExperimentArtifactsAdded")
class ExperimentArtifactsAdded:
    """Files were added that belong to none of its runs; one of the same path gave way."""

    experiment_id: str
    artifacts: tuple[Artifact, ...]
    by: str
    at: datetime


@event("registry.ExperimentArtifactsRemoved")
class ExperimentArtifactsRemoved:
    """Files were taken off it; their content stays in the store."""

    experiment_id: str
    paths: tuple[str, ...]
    by: str
    at: datetime


@event("registry.ExperimentDeleted")
class ExperimentDeleted:
    """It was hidden; it keeps its name."""

    experiment_id: str
    name: str
    by: str
    at: datetime


@event("registry.ExperimentRestored")
class ExperimentRestored:
    """The deletion was taken back."""

    experiment_id: str
    name: str
    by: str
    at: datetime


ExperimentEvent = (
    ExperimentCreated
    | ExperimentRenamed
    | ExperimentDescribed
    | ExperimentTagged
    | ExperimentMoved
    | ExperimentArtifactsAdded
    | ExperimentArtifactsRemoved
    | ExperimentDeleted
    | ExperimentRestored
)


def created_from_1(fields: dict[str, Any]) -> dict[str, Any]:
    """The first version knew neither tags nor a place for artifacts."""
    return {**fields, "tenant": "", "tags": {}, "artifact_location": ""}
