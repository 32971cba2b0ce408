"""Monitors, their windows and alerts, and retraining."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

from modelog.types.artifacts import DatasetRef
from modelog.types.records import Record


class AlertChannel(Record):
    """Where alerts go: kind CHANNEL_KIND_WEBHOOK or CHANNEL_KIND_SLACK, and an http(s) address."""

    kind: str
    url: str


class Monitor(Record):
    id: str = ""
    name: str = ""
    deployment: str = ""
    reference: List[DatasetRef] = []
    window: str = ""
    author: str = ""
    created_at: Optional[datetime] = None
    predictions_watermark: Optional[datetime] = None
    outcomes_watermark: Optional[datetime] = None
    predictions: int = 0
    outcomes: int = 0
    reference_auc: float = 0.0
    reference_log_loss: float = 0.0
    settled_watermark: Optional[datetime] = None
    position: int = 0


class FeatureDrift(Record):
    feature: str = ""
    test: str = ""
    statistic: float = 0.0
    p_value: float = 0.0
    q_value: float = 0.0
    effect: float = 0.0
    psi: float = 0.0
    drifted: bool = False


class Quality(Record):
    rows: int = 0
    auc: float = 0.0
    auc_low: float = 0.0
    auc_high: float = 0.0
    log_loss: float = 0.0
    brier: float = 0.0
    base_rate: float = 0.0


class Window(Record):
    id: str = ""
    monitor: str = ""
    start: Optional[datetime] = None
    end: Optional[datetime] = None
    predictions: int = 0
    labelled: int = 0
    features: List[FeatureDrift] = []
    drifted_features: int = 0
    quality: Optional[Quality] = None
    by_version: Dict[str, Quality] = {}
    drift_alert: bool = False
    quality_alert: bool = False
    position: int = 0


class Alert(Record):
    id: str = ""
    monitor: str = ""
    window_id: str = ""
    kind: str = ""
    text: str = ""
    at: Optional[datetime] = None
    deliveries: Dict[str, str] = {}
    position: int = 0


class RetrainingPolicy(Record):
    id: str = ""
    name: str = ""
    monitor: str = ""
    on_drift: bool = False
    on_quality: bool = False
    job: Dict[str, Any] = {}
    dataset: str = ""
    evaluation_rows: int = 0
    canary_percent: float = 0.0
    canary_rows: int = 0
    author: str = ""
    position: int = 0
    canary_alpha: Optional[float] = None
    canary_margin: Optional[float] = None


class Comparison(Record):
    """Champion against challenger on the same labelled rows; intervals are 95 %."""

    rows: int = 0
    champion_auc: float = 0.0
    challenger_auc: float = 0.0
    auc_difference: float = 0.0
    auc_low: float = 0.0
    auc_high: float = 0.0
    p_value: float = 0.0
    champion_log_loss: float = 0.0
    challenger_log_loss: float = 0.0
    log_loss_difference: float = 0.0
    log_loss_low: float = 0.0
    log_loss_high: float = 0.0
    challenger_wins: bool = False
    reason: str = ""


class CanaryPlan(Record):
    """What a canary must prove: `alpha` is how often its bounds may be wrong, `margin` a loss that does not matter."""

    percent: float = 0.0
    rows: int = 0
    alpha: float = 0.0
    margin: float = 0.0


class CanaryLook(Record):
    """What was known of a canary after a batch of outcomes: mean Brier scores, and where the expected gain lies."""

    retraining: str = ""
    number: int = 0
    rows: int = 0
    champion_brier: float = 0.0
    challenger_brier: float = 0.0
    gain: float = 0.0
    low: float = 0.0
    high: float = 0.0
    verdict: str = ""
    until: Optional[datetime] = None
    at: Optional[datetime] = None
    position: int = 0


class Retraining(Record):
    id: str = ""
    policy: str = ""
    monitor: str = ""
    window_id: str = ""
    model: str = ""
    state: str = ""
    job_id: str = ""
    champion: str = ""
    challenger: str = ""
    evaluation: Optional[Comparison] = None
    canary: Optional[Comparison] = None
    canary_plan: Optional[CanaryPlan] = None
    latest_look: Optional[CanaryLook] = None
    reason: str = ""
    started_at: Optional[datetime] = None
    ended_at: Optional[datetime] = None
    position: int = 0


class SeriesPoint(Record):
    at: Optional[datetime] = None
    value: float = 0.0
    line: str = ""
