"""What may be told of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelog_serving.trial.events import Found, TrialLimits


@dataclass(frozen=True)
class Conditions:
    """Under which a file is tried: what else would be tried again."""

    packages: dict[str, str]
    limits: TrialLimits
    approved: bool


@dataclass(frozen=True)
class RecordTrial:
    """A file was tried at a moment."""

    model_id: str
    model: str
    version: str
    model_digest: str
    flavor: str
    conditions: Conditions
    found: Found
    at: datetime


@dataclass(frozen=True)
class AskTrial:
    """Have a file tried again, as a version of a model."""

    model: str
    version: str
    model_digest: str
    flavor: str
    reason: str


TrialCommand = RecordTrial | AskTrial
