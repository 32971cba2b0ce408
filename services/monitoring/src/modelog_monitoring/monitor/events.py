"""What happens to a monitor."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from modelog_common.domain.sealed import Sealed
from modelog_common.events.types import event

from modelog_monitoring.monitor.window import WindowUnit


class AlertKind(StrEnum):
    """What an alert is about."""

    DRIFT = "drift"
    QUALITY = "quality"
    SERVICE_LEVEL = "service_level"
    SERVICE_LEVEL_MET = "service_level_met"
    LEARNING_STOPPED = "learning_stopped"
    LEARNING_RESUMED = "learning_resumed"


class ChannelKind(StrEnum):
    """The form in which an alert is sent."""

    WEBHOOK = "webhook"
    SLACK = "slack"


class DatasetRef(msgspec.Struct, frozen=True):
    """One version of a dataset."""

    dataset: str
    version: int


class DriftLimits(msgspec.Struct, frozen=True):
    """When a feature counts as drifted, and how many must for an alert: `feature_share` 0 means any."""

    false_discovery_rate: float = 0.05
    ks_distance: float = 0.1
    cramers_v: float = 0.1
    feature_share: float = 0.0


class Channel(msgspec.Struct, frozen=True):
    """Where alerts go.

    The address lets everybody post who knows it, so it is sealed, and `shown` is what may be told of it. Version 1 of
    the event held it as plain text.
    """

    kind: ChannelKind
    url: Sealed | str
    shown: str = ""

    @property
    def name(self) -> str:
        """How deliveries name it; a few characters of the nonce tell two addresses of one host apart."""
        if isinstance(self.url, str):
            return f"{self.kind} {self.url}"
        return f"{self.kind} {self.shown} {self.url.nonce[:6]}"


class FeatureFigures(msgspec.Struct, frozen=True):
    """One feature against the reference: the test that says most, with its effect size.

    `test` is "ks", "chi2" or "missing", empty where neither side holds a value. `q_value` is the p-value after
    Benjamini and Hochberg over all features; `effect` is the KS distance, Cramer's V or, for missing values, Cohen's h.
    """

    feature: str
    test: str
    statistic: float
    p_value: float
    q_value: float
    effect: float
    psi: float
    drifted: bool
    reference_missing_share: float
    missing_share: float


class QualityFigures(msgspec.Struct, frozen=True):
    """Scores against labels; the AUC with its 95 % interval is None where a class has fewer than two rows."""

    rows: int
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    log_loss: float
    brier: float
    base_rate: float


@event("monitoring.MonitorCreated", version=2)
class MonitorCreated:
    """A deployment is watched; `profile_digest` names the blob with the profile of the reference data.

    `champion` is the version that had most of the traffic then; `reference_auc` 0 means that the first window with
    labels becomes the reference.
    """

    monitor_id: str
    name: str
    deployment: str
    model: str
    champion: str
    reference: tuple[DatasetRef, ...]
    profile_digest: str
    label_column: str
    window: WindowUnit
    allowed_lateness_s: float
    drift: DriftLimits
    auc_loss: float
    channels: tuple[Channel, ...]
    reference_auc: float
    reference_log_loss: float
    author: str
    at: datetime


@event("monitoring.WindowEvaluated")
class WindowEvaluated:
    """What one window showed. `note` says in words why something could not be judged.

    `judged` names whose rows the quality alert looked at: the champion's version, or empty for all rows.
    """

    monitor_id: str
    monitor: str
    window_id: str
    label: str
    start: datetime
    end: datetime
    predictions: int
    labelled: int
    predictions_by_version: dict[str, int]
    features: tuple[FeatureFigures, ...]
    drifted_features: int
    quality: QualityFigures | None
    by_version: dict[str, QualityFigures]
    judged: str
    reference_auc: float
    drift_alert: bool
    quality_alert: bool
    note: str
    at: datetime


@event("monitoring.ReferenceMoved")
class ReferenceMoved:
    """Quality is held against other figures from now on: those of `version`, shown on `rows` fresh rows."""

    monitor_id: str
    monitor: str
    version: str
    auc: float
    log_loss: float
    rows: int
    reason: str
    at: datetime


@event("monitoring.AlertRaised")
class AlertRaised:
    """People are to be told of a window; `window_id` is empty for one of traffic, which is not the monitor's own."""

    alert_id: str
    monitor_id: str
    monitor: str
    window_id: str
    window: str
    kind: AlertKind
    text: str
    at: datetime


@event("monitoring.AlertDelivered")
class AlertDelivered:
    """A channel took an alert."""

    alert_id: str
    monitor_id: str
    monitor: str
    channel: str
    attempts: int
    at: datetime


MonitorEvent = MonitorCreated | WindowEvaluated | ReferenceMoved | AlertRaised | AlertDelivered
