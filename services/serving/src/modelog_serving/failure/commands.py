"""What may be told of a deployment's models."""

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


FailureCommand = RecordFailure
