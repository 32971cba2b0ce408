"""What may be asked of a monitor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelog_monitoring.monitor.events import (
    AlertKind,
    Channel,
    DatasetRef,
    DriftLimits,
    FeatureFigures,
    QualityFigures,
)
from modelog_monitoring.monitor.window import Window, WindowUnit


@dataclass(frozen=True)
class CreateMonitor:
    """Watch a deployment."""

    name: str
    deployment: str
    model: str
    champion: str
    reference: tuple[DatasetRef, ...]
    profile_digest: str
    window: WindowUnit
    label_column: str = ""
    allowed_lateness_s: float = 0.0
    drift: DriftLimits = field(default_factory=DriftLimits)
    auc_loss: float = 0.02
    channels: tuple[Channel, ...] = ()
    reference_auc: float = 0.0
    reference_log_loss: float = 0.0


@dataclass(frozen=True)
class Findings:
    """The figures of one window, before anything is made of them."""

    predictions: int
    labelled: int
    predictions_by_version: Mapping[str, int]
    features: tuple[FeatureFigures, ...]
    quality: QualityFigures | None
    by_version: Mapping[str, QualityFigures]
    note: str = ""


@dataclass(frozen=True)
class RecordWindow:
    """A window has closed and was evaluated."""

    window: Window
    findings: Findings


@dataclass(frozen=True)
class MoveReference:
    """Hold quality against what a new champion has shown."""

    version: str
    auc: float
    log_loss: float
    rows: int
    reason: str


@dataclass(frozen=True)
class PassOn:
    """Tell the monitor's channels of an alert about the traffic of its deployment."""

    alert_id: str
    kind: AlertKind
    window: str
    text: str


@dataclass(frozen=True)
class RecordDelivery:
    """A channel took an alert, at this attempt."""

    alert_id: str
    channel: str
    attempts: int


MonitorCommand = CreateMonitor | RecordWindow | MoveReference | PassOn | RecordDelivery
