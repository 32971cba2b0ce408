"""An experiment as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from modelog_common.domain.errors import NotFound
from modelog_common.domain.ids import derived_id

from modelog_registry.artifact import Artifact
from modelog_registry.experiment.events import (
    ExperimentArtifactsAdded,
    ExperimentArtifactsRemoved,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentDescribed,
    ExperimentEvent,
    ExperimentMoved,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagged,
)
from modelog_registry.place import DEFAULT_PLACE, Place


@dataclass(frozen=True)
class Experiment:
    """An experiment; before its first event it has no name."""

    created: ExperimentCreated | None = None
    name: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    # Those that belong to none of its runs.
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    place: Place = DEFAULT_PLACE

    def of(self, tenant: str) -> ExperimentCreated | None:
        """How it began, when it belongs to the tenant."""
        created = self.created
        if created is None or created.tenant == tenant:
            return created
        first_version = not created.tenant and derived_id(tenant, created.name) == created.experiment_id
        return created if first_version else None

    def existing(self, experiment_id: str, tenant: str) -> ExperimentCreated:
        """How it began; raises NotFound, also for another tenant's."""
        created = self.of(tenant)
        if created is None:
            raise NotFound(f"there is no experiment {experiment_id!r}")
        return created


def evolve(experiment: Experiment, event: ExperimentEvent) -> Experiment:
    """Fold one event."""
    match event:
        case ExperimentCreated():
            return Experiment(event, event.name, event.description, event.tags, event.at, place=event.place)
        case ExperimentRenamed(name=name, at=at):
            return replace(experiment, name=name, updated_at=at)
        case ExperimentDescribed(description=description, at=at):
            return replace(experiment, description=description, updated_at=at)
        case ExperimentTagged(tags=tags, removed=removed, at=at):
            kept = {k: v for k, v in experiment.tags.items() if k not in removed}
            return replace(experiment, tags={**kept, **tags}, updated_at=at)
        case ExperimentMoved(place=place, at=at):
            return replace(experiment, place=place, updated_at=at)
        case ExperimentArtifactsAdded(artifacts=added):
            return replace(experiment, artifacts={**experiment.artifacts, **{a.path: a for a in added}})
        case ExperimentArtifactsRemoved(paths=paths):
            left = {path: a for path, a in experiment.artifacts.items() if path not in paths}
            return replace(experiment, artifacts=left)
        case ExperimentDeleted(at=at):
            return replace(experiment, deleted_at=at, updated_at=at)
        case ExperimentRestored(at=at):
            return replace(experiment, deleted_at=None, updated_at=at)
        case _:
            assert_never(event)
