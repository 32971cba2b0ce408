"""The rules of monitors: when a window raises an alert, and what quality is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, NotFound
from modelog_common.domain.ids import derived_id

from modelog_monitoring.monitor.commands import (
    CreateMonitor,
    Findings,
    MonitorCommand,
    MoveReference,
    PassOn,
    RecordDelivery,
    RecordWindow,
)
from modelog_monitoring.monitor.events import (
    AlertDelivered,
    AlertKind,
    AlertRaised,
    MonitorCreated,
    MonitorEvent,
    QualityFigures,
    ReferenceMoved,
    WindowEvaluated,
)
from modelog_monitoring.monitor.state import Monitor, evolve
from modelog_monitoring.monitor.window import Window

NAMED_FEATURES = 3


def decide(monitor: Monitor, command: MonitorCommand, ctx: Context) -> Sequence[MonitorEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case CreateMonitor():
            return create(monitor, command, ctx)
        case RecordWindow(window, findings):
            return record_window(monitor, window, findings, ctx)
        case MoveReference():
            return move_reference(monitor, command, ctx)
        case PassOn():
            return pass_on(monitor, command, ctx)
        case RecordDelivery():
            return record_delivery(monitor, command, ctx)
        case _:
            assert_never(command)


def create(monitor: Monitor, command: CreateMonitor, ctx: Context) -> Sequence[MonitorEvent]:
    """The same definition under the same name is not an error."""
    wanted = MonitorCreated(
        monitor_id=derived_id(ctx.tenant, command.name),
        name=command.name,
        deployment=command.deployment,
        model=command.model,
        champion=command.champion,
        reference=command.reference,
        profile_digest=command.profile_digest,
        label_column=command.label_column,
        window=command.window,
        allowed_lateness_s=command.allowed_lateness_s,
        drift=command.drift,
        auc_loss=command.auc_loss,
        channels=command.channels,
        reference_auc=command.reference_auc,
        reference_log_loss=command.reference_log_loss,
        author=ctx.actor,
        at=ctx.now,
    )
    known = monitor.created
    if known is None:
        return [wanted]
    if _asked_for(known) == _asked_for(wanted):
        return ()
    raise AlreadyExists(f"monitor {known.name!r} exists already with another definition; {known.author} created it")


def record_window(monitor: Monitor, window: Window, findings: Findings, ctx: Context) -> Sequence[MonitorEvent]:
    """The window's figures, and an alert for each kind that they give reason for. A window counts once."""
    about = monitor.definition
    if monitor.evaluated_until is not None and window.start < monitor.evaluated_until:
        return ()
    judged, quality = _judged(monitor, findings)
    drifted = sum(f.drifted for f in findings.features)
    drift_text = _drift_text(monitor, window, findings, drifted)
    quality_text = "" if quality is None else _quality_text(monitor, window, judged, quality)
    evaluated = WindowEvaluated(
        monitor_id=about.monitor_id,
        monitor=about.name,
        window_id=derived_id("window", about.monitor_id, window.start.isoformat()),
        label=window.label,
        start=window.start,
        end=window.end,
        predictions=findings.predictions,
        labelled=findings.labelled,
        predictions_by_version=dict(findings.predictions_by_version),
        features=findings.features,
        drifted_features=drifted,
        quality=findings.quality,
        by_version=dict(findings.by_version),
        judged=judged,
        reference_auc=monitor.reference_auc,
        drift_alert=bool(drift_text),
        quality_alert=bool(quality_text),
        note=findings.note,
        at=ctx.now,
    )
    alerts = [
        _alert(evaluated, kind, text, ctx)
        for kind, text in ((AlertKind.DRIFT, drift_text), (AlertKind.QUALITY, quality_text))
        if text
    ]
    return [evaluated, *_first_reference(monitor, window, judged, quality, ctx), *alerts]


def move_reference(monitor: Monitor, command: MoveReference, ctx: Context) -> Sequence[MonitorEvent]:
    about = monitor.definition
    return [
        ReferenceMoved(
            about.monitor_id,
            about.name,
            command.version,
            command.auc,
            command.log_loss,
            command.rows,
            command.reason,
            ctx.now,
        )
    ]


def pass_on(monitor: Monitor, command: PassOn, ctx: Context) -> Sequence[MonitorEvent]:
    """An alert that was passed on already changes nothing."""
    about = monitor.definition
    if command.alert_id in monitor.alerts:
        return ()
    return [
        AlertRaised(
            command.alert_id, about.monitor_id, about.name, "", command.window, command.kind, command.text, ctx.now
        )
    ]


def record_delivery(monitor: Monitor, command: RecordDelivery, ctx: Context) -> Sequence[MonitorEvent]:
    """A delivery that is known already, because it was made twice, changes nothing."""
    about = monitor.definition
    alert = monitor.alerts.get(command.alert_id)
    if alert is None:
        raise NotFound(f"monitor {about.name!r} has raised no alert {command.alert_id}")
    if command.channel in alert.delivered:
        return ()
    return [AlertDelivered(command.alert_id, about.monitor_id, about.name, command.channel, command.attempts, ctx.now)]


def _asked_for(created: MonitorCreated) -> tuple[object, ...]:
    """What makes two definitions the same; who had the traffic, who asked and when does not."""
    return (
        created.deployment,
        created.reference,
        created.label_column,
        created.window,
        created.allowed_lateness_s,
        created.drift,
        created.auc_loss,
        created.channels,
        created.reference_auc,
        created.reference_log_loss,
    )


def _judged(monitor: Monitor, findings: Findings) -> tuple[str, QualityFigures | None]:
    """The quality that is held against the reference: that of the champion's own rows.

    The reference is the champion's. In a window with a canary or a promotion the other version's rows would raise or
    hide an alert that is not about the champion. Where the champion answered too little, all rows are judged.
    """
    own = findings.by_version.get(monitor.champion)
    if own is not None and own.auc is not None:
        return monitor.champion, own
    return "", findings.quality


def _first_reference(
    monitor: Monitor, window: Window, judged: str, quality: QualityFigures | None, ctx: Context
) -> Sequence[MonitorEvent]:
    """Without a reference, the first window that has an AUC becomes it."""
    if monitor.reference_auc or quality is None or quality.auc is None:
        return ()
    command = MoveReference(
        judged or monitor.champion,
        quality.auc,
        quality.log_loss,
        quality.rows,
        f"{window.label} is the first window with labels, and the monitor was created without a reference",
    )
    return move_reference(monitor, command, ctx)


def _drift_text(monitor: Monitor, window: Window, findings: Findings, drifted: int) -> str:
    """The alert's text, empty when there is no reason for an alert."""
    about = monitor.definition
    if drifted == 0 or drifted < about.drift.feature_share * len(findings.features):
        return ""
    largest = sorted((f for f in findings.features if f.drifted), key=lambda f: -f.effect)[:NAMED_FEATURES]
    named = ", ".join(f"{f.feature} ({_EFFECTS[f.test]} {f.effect:.2f})" for f in largest)
    return (
        f"{about.deployment}, {window.label}: {drifted} of {len(findings.features)} features drifted from the "
        f"reference; most of all {named}"
    )


_EFFECTS = {"ks": "KS distance", "chi2": "Cramer's V", "missing": "missing values, Cohen's h"}


def _quality_text(monitor: Monitor, window: Window, judged: str, quality: QualityFigures) -> str:
    """The alert's text, empty when there is no reason for an alert.

    The loss must be large, and more than chance: the reference lies above the AUC's 95 % interval.
    """
    about, reference = monitor.definition, monitor.reference_auc
    if not reference or quality.auc is None or quality.auc_low is None or quality.auc_high is None:
        return ""
    loss = reference - quality.auc
    if loss <= about.auc_loss or quality.auc_high >= reference:
        return ""
    who = f"{about.model} {judged}" if judged else about.model
    return (
        f"{about.deployment}, {window.label}: the AUC of {who} is {quality.auc:.3f} "
        f"(95 % interval {quality.auc_low:.3f} to {quality.auc_high:.3f}), {loss:.3f} below the reference "
        f"{reference:.3f}; {about.auc_loss:g} is allowed"
    )


def _alert(evaluated: WindowEvaluated, kind: AlertKind, text: str, ctx: Context) -> AlertRaised:
    return AlertRaised(
        derived_id("alert", evaluated.window_id, kind),
        evaluated.monitor_id,
        evaluated.monitor,
        evaluated.window_id,
        evaluated.label,
        kind,
        text,
        ctx.now,
    )


MONITOR: Decider[Monitor, MonitorCommand, MonitorEvent] = Decider("monitoring.monitor", Monitor, decide, evolve)
