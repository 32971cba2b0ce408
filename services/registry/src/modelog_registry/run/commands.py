"""What may be asked of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelog_registry.artifact import Artifact
from modelog_registry.run.events import Environment, RunDataset, RunStatus


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


RunCommand = StartRun | LogRun | EndRun
