"""A run as its events left it; the points of its metrics are in the read tables only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from modelog_common.domain.errors import NotAllowed, NotFound

from modelog_registry.artifact import Artifact
from modelog_registry.run.events import (
    DatasetInput,
    Environment,
    MetricsSealed,
    Point,
    RunArtifactsRemoved,
    RunDeleted,
    RunEnded,
    RunEvent,
    RunInputsLogged,
    RunLogged,
    RunModel,
    RunOutputsLogged,
    RunRenamed,
    RunRestored,
    RunResumed,
    RunStarted,
    RunStatus,
    RunTagged,
)


@dataclass(frozen=True)
class Run:
    """A run; before its first event it has not started."""

    started: RunStarted | None = None
    name: str = ""
    status: RunStatus = RunStatus.RUNNING
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Point] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    environment: Environment | None = None
    # By name and digest.
    inputs: Mapping[str, DatasetInput] = field(default_factory=dict)
    model_inputs: Mapping[str, RunModel] = field(default_factory=dict)
    model_outputs: Mapping[str, RunModel] = field(default_factory=dict)
    ended: RunEnded | None = None
    deleted_at: datetime | None = None
    # The last batch of the store of curves that the log vouches for.
    sealed: int = 0

    def of(self, tenant: str) -> RunStarted | None:
        """How the run started, when it belongs to the tenant."""
        return self.started if self.started is not None and self.started.tenant == tenant else None

    def existing(self, run_id: str, tenant: str) -> RunStarted:
        """How the run started; raises NotFound, also for another tenant's run."""
        started = self.of(tenant)
        if started is None:
            raise NotFound(f"there is no run {run_id!r}")
        return started

    def kept(self, run_id: str, tenant: str) -> RunStarted:
        """The same; raises NotAllowed when the run is deleted."""
        started = self.existing(run_id, tenant)
        if self.deleted_at is not None:
            raise NotAllowed(f"run {run_id} is deleted; restore it first")
        return started

    def open(self, run_id: str, tenant: str) -> RunStarted:
        """The same; raises NotAllowed when the run ended, too."""
        started = self.kept(run_id, tenant)
        if self.ended is not None:
            raise NotAllowed(
                f"run {run_id} ended as {self.status} and takes nothing more; start a new one, or set it RUNNING again"
            )
        return started


def evolve(run: Run, event: RunEvent) -> Run:
    """Fold one event."""
    match event:
        case RunStarted():
            return Run(event, event.name, parameters=event.parameters, tags=event.tags, environment=event.environment)
        case RunLogged():
            return replace(
                run,
                parameters={**run.parameters, **event.parameters},
                metrics=_last_values(run.metrics, event.metrics),
                artifacts={**run.artifacts, **{a.path: a for a in event.artifacts}},
                tags={**run.tags, **event.tags},
                environment=event.environment or run.environment,
            )
        case MetricsSealed():
            return replace(run, metrics=_last_values(run.metrics, event.latest), sealed=event.last)
        case RunEnded():
            return replace(run, ended=event, status=event.status)
        case RunResumed(status=status):
            return replace(run, ended=None, status=status)
        case RunRenamed(name=name):
            return replace(run, name=name)
        case RunTagged(tags=tags, removed=removed):
            return replace(run, tags={**{k: v for k, v in run.tags.items() if k not in removed}, **tags})
        case RunInputsLogged(datasets=datasets, models=models):
            return replace(
                run,
                inputs={**run.inputs, **{f"{d.name}\x1f{d.digest}": d for d in datasets}},
                model_inputs={**run.model_inputs, **{m.model_id: m for m in models}},
            )
        case RunOutputsLogged(models=models):
            return replace(run, model_outputs={**run.model_outputs, **{m.model_id: m for m in models}})
        case RunArtifactsRemoved(paths=paths):
            return replace(run, artifacts={path: a for path, a in run.artifacts.items() if path not in paths})
        case RunDeleted(at=at):
            return replace(run, deleted_at=at)
        case RunRestored():
            return replace(run, deleted_at=None)
        case _:
            assert_never(event)


def _last_values(known: Mapping[str, Point], points: Iterable[Point]) -> Mapping[str, Point]:
    """The last value of a metric is that of its highest step; of one step, of the latest time; then what came last."""
    last = dict(known)
    for point in points:
        before = last.get(point.name)
        if before is None or (point.step, point.at) >= (before.step, before.at):
            last[point.name] = point
    return last
