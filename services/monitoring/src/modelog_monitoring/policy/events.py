"""What happens to a retraining policy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from modelog_common.events.types import event


class CanaryTest(msgspec.Struct, frozen=True):
    """How a canary is decided: `alpha` is how often its bounds may be wrong, at any of its looks.

    `margin` is a loss of Brier score that does not matter: a challenger that is proved less than this worse is
    promoted. With 0 it must be proved better. The defaults hold where events say nothing of it.
    """

    alpha: float = 0.05
    margin: float = 0.005


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
    canary: CanaryTest | None = None


PolicyEvent = PolicyCreated
