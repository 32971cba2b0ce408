"""What may be asked of a retraining policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelog_monitoring.policy.events import CanaryTest

EVALUATION_ROWS = 10_000
CANARY_PERCENT = 10.0
CANARY_ROWS = 2_500


@dataclass(frozen=True)
class CreatePolicy:
    """Retrain on what a monitor finds. With both `on_drift` and `on_quality`, both must hold."""

    name: str
    monitor: str
    on_drift: bool
    on_quality: bool
    job: Mapping[str, Any]
    dataset: str
    evaluation_rows: int = EVALUATION_ROWS
    canary_percent: float = CANARY_PERCENT
    canary_rows: int = CANARY_ROWS
    canary: CanaryTest = field(default_factory=CanaryTest)


PolicyCommand = CreatePolicy
