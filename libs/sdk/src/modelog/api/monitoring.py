"""Monitors, their windows and alerts, and the policies that retrain."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from modelog.transport import Transport
from modelog.types import (
    Alert,
    AlertChannel,
    CanaryLook,
    DatasetRef,
    Monitor,
    Record,
    Retraining,
    RetrainingPolicy,
    SeriesPoint,
    Window,
)


class _Monitors(Record):
    monitors: List[Monitor] = []
    next_page_token: str = ""


class _Windows(Record):
    windows: List[Window] = []
    next_page_token: str = ""


class _Alerts(Record):
    alerts: List[Alert] = []
    next_page_token: str = ""


class _Policies(Record):
    policies: List[RetrainingPolicy] = []
    next_page_token: str = ""


class _Retrainings(Record):
    retrainings: List[Retraining] = []
    next_page_token: str = ""


class _CanaryLooks(Record):
    looks: List[CanaryLook] = []
    next_page_token: str = ""


class _Series(Record):
    points: List[SeriesPoint] = []


class Monitors:
    """What watches the deployments."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        deployment: str,
        reference: Sequence[DatasetRef],
        *,
        window: str = "month",
        label_column: str = "",
        allowed_lateness_s: float = 0.0,
        reference_auc: float = 0.0,
        reference_log_loss: float = 0.0,
        drift: Optional[Mapping[str, float]] = None,
        quality: Optional[Mapping[str, float]] = None,
        channels: Sequence[AlertChannel] = (),
    ) -> Monitor:
        """Compare windows (hour, day, week or month of event time) of a deployment with reference data."""
        body = {
            "name": name,
            "deployment": deployment,
            "reference": list(reference),
            "label_column": label_column,
            "window": f"WINDOW_UNIT_{window.upper()}",
            "allowed_lateness_s": allowed_lateness_s,
            "reference_auc": reference_auc,
            "reference_log_loss": reference_log_loss,
            "drift": dict(drift) if drift else None,
            "quality": dict(quality) if quality else None,
            "channels": list(channels),
        }
        return self._transport.post("/api/v1/monitors", Monitor, body)

    def get(self, name: str, *, as_of: Optional[str] = None) -> Monitor:
        """One monitor; its watermarks and counts are known of the present only."""
        return self._transport.get(f"/api/v1/monitors/{name}", Monitor, as_of=as_of)

    def list(self, *, as_of: Optional[str] = None) -> List[Monitor]:
        """All monitors, by name."""
        return self._transport.every("/api/v1/monitors", _Monitors, lambda page: page.monitors, as_of=as_of)

    def windows(self, monitor: str, *, as_of: Optional[str] = None) -> List[Window]:
        """What each window showed, oldest first."""
        path = f"/api/v1/monitors/{monitor}/windows"
        return self._transport.every(path, _Windows, lambda page: page.windows, as_of=as_of)

    def alerts(self, monitor: Optional[str] = None, *, as_of: Optional[str] = None) -> List[Alert]:
        """Alerts, newest first."""
        return self._transport.every("/api/v1/alerts", _Alerts, lambda page: page.alerts, monitor=monitor, as_of=as_of)

    def series(
        self, monitor: str, metric: str, *, every_s: int = 0, aggregate: str = "mean", as_of: Optional[str] = None
    ) -> List[SeriesPoint]:
        """A metric over time, such as auc, log_loss, drifted_features, predictions.

        `every_s`: one point for each span of so many seconds, the mean, min, max or count of its points.
        """
        spans = {"every_s": every_s, "aggregate": f"AGGREGATE_{aggregate.upper()}"} if every_s else {}
        path = f"/api/v1/monitors/{monitor}/series/{metric}"
        return self._transport.get(path, _Series, as_of=as_of, **spans).points

    def create_policy(
        self,
        name: str,
        monitor: str,
        job: Mapping[str, Any],
        dataset: str,
        *,
        on_drift: bool = True,
        on_quality: bool = True,
        evaluation_rows: int = 0,
        canary_percent: float = 0.0,
        canary_rows: int = 0,
        canary_alpha: float = 0.0,
        canary_margin: Optional[float] = None,
    ) -> RetrainingPolicy:
        """Train a challenger when drift and loss of quality were found; `job` is what `client.jobs.spec` makes.

        A challenger that won on fresh rows gets `canary_percent` of the traffic, and is promoted as soon as it is
        proved less than `canary_margin` of Brier score worse, refused as soon as it is proved worse, and refused after
        `canary_rows` labelled rows. `canary_alpha`: how often that may be wrong. Zeros and None mean 10 %, 2,500 rows,
        0.05 and 0.005.
        """
        body = {
            "name": name,
            "monitor": monitor,
            "job": {k: v for k, v in job.items() if v is not None},
            "dataset": dataset,
            "on_drift": on_drift,
            "on_quality": on_quality,
            "evaluation_rows": evaluation_rows,
            "canary_percent": canary_percent,
            "canary_rows": canary_rows,
            "canary_alpha": canary_alpha,
            "canary_margin": canary_margin,
        }
        return self._transport.post("/api/v1/retraining-policies", RetrainingPolicy, body)

    def policies(self, *, as_of: Optional[str] = None) -> List[RetrainingPolicy]:
        """All policies, by name."""
        path = "/api/v1/retraining-policies"
        return self._transport.every(path, _Policies, lambda page: page.policies, as_of=as_of)

    def retrainings(self, policy: Optional[str] = None, *, as_of: Optional[str] = None) -> List[Retraining]:
        """Challengers and how they fared, oldest first."""
        path = "/api/v1/retrainings"
        return self._transport.every(path, _Retrainings, lambda page: page.retrainings, policy=policy, as_of=as_of)

    def retraining(self, retraining_id: str, *, as_of: Optional[str] = None) -> Retraining:
        """One challenger and how it fared."""
        return self._transport.get(f"/api/v1/retrainings/{retraining_id}", Retraining, as_of=as_of)

    def canary_looks(self, retraining_id: str, *, as_of: Optional[str] = None) -> List[CanaryLook]:
        """What was known of a challenger's canary after each batch of outcomes, oldest first."""
        path = f"/api/v1/retrainings/{retraining_id}/looks"
        return self._transport.every(path, _CanaryLooks, lambda page: page.looks, as_of=as_of)
