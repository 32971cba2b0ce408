"""A logged model as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_registry.artifact import Artifact
from modelog_registry.logged_model.events import (
    LoggedModelAddedTo,
    LoggedModelArtifactsRemoved,
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelEvent,
    LoggedModelFinalised,
    LoggedModelStatus,
    ModelMetric,
)


@dataclass(frozen=True)
class LoggedModel:
    """A logged model; before its first event there is none."""

    created: LoggedModelCreated | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    # By name, run and dataset.
    metrics: Mapping[str, ModelMetric] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    status: LoggedModelStatus = LoggedModelStatus.PENDING
    status_message: str = ""
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    def existing(self, model_id: str, tenant: str) -> LoggedModelCreated:
        """How it began; raises NotFound, also for another tenant's and when it is deleted."""
        created = self.created
        if created is None or created.tenant != tenant or self.deleted_at is not None:
            raise NotFound(f"there is no logged model {model_id!r}")
        return created


def evolve(model: LoggedModel, event: LoggedModelEvent) -> LoggedModel:
    """Fold one event."""
    match event:
        case LoggedModelCreated():
            return LoggedModel(event, event.parameters, event.tags, updated_at=event.at)
        case LoggedModelAddedTo():
            kept = {k: v for k, v in model.tags.items() if k not in event.removed_tags}
            return replace(
                model,
                parameters={**model.parameters, **event.parameters},
                tags={**kept, **event.tags},
                metrics={**model.metrics, **{_place(m): m for m in event.metrics}},
                artifacts={**model.artifacts, **{a.path: a for a in event.artifacts}},
                updated_at=event.at,
            )
        case LoggedModelFinalised():
            return replace(model, status=event.status, status_message=event.message, updated_at=event.at)
        case LoggedModelArtifactsRemoved(paths=paths):
            left = {path: a for path, a in model.artifacts.items() if path not in paths}
            return replace(model, artifacts=left, updated_at=event.at)
        case LoggedModelDeleted():
            return replace(model, deleted_at=event.at, updated_at=event.at)
        case _:
            assert_never(event)


def _place(metric: ModelMetric) -> str:
    return "\x1f".join((metric.name, metric.run_id, metric.dataset_name, metric.dataset_digest))
