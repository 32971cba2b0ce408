"""What happens to a run."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from modelog_common.events.types import event

from modelog_registry.artifact import Artifact

Number = float | str


class RunStatus(StrEnum):
    """How a run stands, or how it ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Environment(msgspec.Struct, frozen=True):
    """What a run ran in; `packages` is package name to version."""

    python: str
    platform: str
    packages: dict[str, str]
    git_commit: str
    git_dirty: bool
    entry_point: str
    source_digest: str


class RunDataset(msgspec.Struct, frozen=True):
    """A dataset version that a run read, with the digest it had."""

    dataset: str
    version: int
    digest: str


class Point(msgspec.Struct, frozen=True):
    """One measured value; what JSON has no number for is stored as "NaN", "Infinity" or "-Infinity"."""

    name: str
    value: Number
    step: int
    at: datetime


@event("registry.RunStarted")
class RunStarted:
    """A run began, in an experiment of a tenant."""

    run_id: str
    tenant: str
    experiment: str
    name: str
    author: str
    parameters: dict[str, Any]
    datasets: tuple[RunDataset, ...]
    environment: Environment | None
    tags: dict[str, str]
    at: datetime


@event("registry.RunLogged")
class RunLogged:
    """A run told something; `environment` None left it as it was."""

    run_id: str
    parameters: dict[str, Any]
    metrics: tuple[Point, ...]
    artifacts: tuple[Artifact, ...]
    tags: dict[str, str]
    environment: Environment | None
    at: datetime


@event("registry.RunEnded")
class RunEnded:
    """A run came to its end."""

    run_id: str
    status: RunStatus
    error: str
    at: datetime


RunEvent = RunStarted | RunLogged | RunEnded


def stored_number(value: float) -> Number:
    """A metric's value in the form that JSON can hold."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
