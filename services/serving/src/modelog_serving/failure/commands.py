"""What may be told of a deployment's models, and of the circuit breakers before them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class RecordFailure:
    """A model's process was replaced at a moment."""

    deployment_id: str
    deployment: str
    model: str
    version: str
    model_digest: str
    cause: str
    text: str
    at: datetime


@dataclass(frozen=True)
class RecordOpened:
    """A process stopped asking a version."""

    deployment_id: str
    deployment: str
    model: str
    version: str
    model_digest: str
    failures: int
    requests: int
    window_s: int
    why: str
    at: datetime


@dataclass(frozen=True)
class RecordClosed:
    """A process asks a version again."""

    deployment_id: str
    deployment: str
    model: str
    version: str
    model_digest: str
    open_s: float
    why: str
    at: datetime


FailureCommand = RecordFailure | RecordOpened | RecordClosed
