"""Models that learn as they answer, as calls answer with them."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types import Record


class LearningTerms(Record):
    """When a step is taken, and when what learned is so much worse than what was registered that it stops."""

    step_labels: int = 0
    step_s: int = 0
    worst_ratio: float = 0.0
    guard_labels: int = 0


class LearnedVersion(Record):
    """What a version has learned; the errors are those of the last labels, `stopped` says why it learns no more."""

    version: str = ""
    registered_digest: str = ""
    digest: str = ""
    steps: int = 0
    labels: int = 0
    error: float = 0.0
    registered_error: float = 0.0
    stopped: str = ""


class Learning(Record):
    """How a deployment learns; `mode` is LEARNING_MODE_ON, _PAUSED, _OFF or _STOPPED."""

    deployment: str = ""
    model: str = ""
    mode: str = ""
    terms: Optional[LearningTerms] = None
    reason: str = ""
    by: str = ""
    steps: int = 0
    versions: List[LearnedVersion] = []
    at: Optional[datetime] = None
    position: int = 0
    waiting: int = 0
    passed_over: int = 0


class LearningStep(Record):
    """A step, or, with the event LearningStopped, that a version learns no more; the errors are of its labels."""

    deployment: str = ""
    version: str = ""
    step: int = 0
    event: str = ""
    registered_digest: str = ""
    digest_before: str = ""
    digest_after: str = ""
    labels_digest: str = ""
    labels: int = 0
    error: float = 0.0
    registered_error: float = 0.0
    why: str = ""
    at: Optional[datetime] = None
    position: int = 0


class ReplayedLearningStep(Record):
    """A step that was taken again; `same` says whether the same state came of it."""

    step: Optional[LearningStep] = None
    digest_again: str = ""
    same: bool = False
    same_bytes: bool = False
    error_again: float = 0.0
    registered_error_again: float = 0.0
