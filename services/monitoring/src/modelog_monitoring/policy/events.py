"""What happens to a retraining policy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from modelog_common.events.types import event


@event("monitoring.PolicyCreated")
class PolicyCreated:
    """Says when a challenger is trained and what it must prove.

    `job` is the job to run, as the JSON form of modelog.training.v1.JobSpec; its datasets are filled in for each
    window.
    """

    policy_id: str
    name: str
    monitor: str
    on_drift: bool
    on_quality: bool
    job: dict[str, Any]
    dataset: str
    evaluation_rows: int
    canary_percent: float
    canary_rows: int
    author: str
    at: datetime


PolicyEvent = PolicyCreated
