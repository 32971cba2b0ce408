"""A run as its events left it; the points of its metrics are in the read tables only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from modelog_common.domain.errors import NotFound

from modelog_registry.artifact import Artifact
from modelog_registry.run.events import Environment, Point, RunEnded, RunEvent, RunLogged, RunStarted, RunStatus


@dataclass(frozen=True)
class Run:
    """A run; before its first event it has not started."""

    started: RunStarted | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Point] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    environment: Environment | None = None
    ended: RunEnded | None = None

    @property
    def status(self) -> RunStatus:
        return self.ended.status if self.ended is not None else RunStatus.RUNNING

    def of(self, tenant: str) -> RunStarted | None:
        """How the run started, when it belongs to the tenant."""
        return self.started if self.started is not None and self.started.tenant == tenant else None

    def existing(self, run_id: str, tenant: str) -> RunStarted:
        """How the run started; raises NotFound, also for another tenant's run."""
        started = self.of(tenant)
        if started is None:
            raise NotFound(f"there is no run {run_id!r}")
        return started


def evolve(run: Run, event: RunEvent) -> Run:
    """Fold one event."""
    match event:
        case RunStarted():
            return Run(event, event.parameters, tags=event.tags, environment=event.environment)
        case RunLogged():
            return replace(
                run,
                parameters={**run.parameters, **event.parameters},
                metrics=_last_values(run.metrics, event.metrics),
                artifacts={**run.artifacts, **{a.path: a for a in event.artifacts}},
                tags={**run.tags, **event.tags},
                environment=event.environment or run.environment,
            )
        case RunEnded():
            return replace(run, ended=event)
        case _:
            assert_never(event)


def _last_values(known: Mapping[str, Point], points: Iterable[Point]) -> Mapping[str, Point]:
    """The last value of a metric is that of its highest step; of one step, what came last."""
    last = dict(known)
    for point in points:
        before = last.get(point.name)
        if before is None or point.step >= before.step:
            last[point.name] = point
    return last
