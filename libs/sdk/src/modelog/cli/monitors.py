"""modelog monitor ..."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, show_fields, show_json, show_table, told, word
from modelog.service_level import ServiceLevel
from modelog.types import Retraining

Period = typer.Option(0, "--period-hours", help="How far back, in hours; 0 means 720, the 30 days of the budget.")
app = typer.Typer(help="Monitors, windows, alerts and challengers.", no_args_is_help=True)


@app.command("list")
def list_monitors(as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """All monitors."""
    with told(), modelog.connect() as client:
        found = client.monitors.list(as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [[m.name, m.deployment, word(m.window, "WINDOW_UNIT_"), m.predictions, m.outcomes] for m in found]
            show_table(["monitor", "deployment", "window", "#predictions", "#outcomes"], rows, empty="no monitors yet")


@app.command()
def windows(monitor: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """What each window showed."""
    with told(), modelog.connect() as client:
        found = client.monitors.windows(monitor, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [
                [
                    w.start,
                    w.predictions,
                    w.labelled,
                    w.quality.auc if w.quality else None,
                    w.quality.log_loss if w.quality else None,
                    w.drifted_features,
                    "quality" if w.quality_alert else "drift" if w.drift_alert else "",
                ]
                for w in found
            ]
            columns = ["from", "#predictions", "#labelled", "#AUC", "#log loss", "#drifted", "alert"]
            show_table(columns, rows, empty="no window has closed yet")


@app.command()
def alerts(monitor: Optional[str] = typer.Argument(None), as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """Alerts, newest first."""
    with told(), modelog.connect() as client:
        found = client.monitors.alerts(monitor, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [[a.at, a.monitor, word(a.kind, "ALERT_KIND_"), a.text, a.deliveries] for a in found]
            show_table(["at", "monitor", "kind", "text", "deliveries"], rows, empty="no alerts")


@app.command()
def retrainings(as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """Challengers and how they fared."""
    with told(), modelog.connect() as client:
        found = client.monitors.retrainings(as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [[r.id, r.challenger, word(r.state, "RETRAINING_STATE_"), r.champion, r.reason] for r in found]
            show_table(["retraining", "challenger", "state", "against", "reason"], rows, empty="no challenger yet")


@app.command()
def retraining(
    retraining_id: str = typer.Argument(..., metavar="RETRAINING"),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """One challenger, and what was known of its canary after each batch of outcomes."""
    with told(), modelog.connect() as client:
        found = client.monitors.retraining(retraining_id, as_of=as_of)
        looks = client.monitors.canary_looks(retraining_id, as_of=as_of)
        if as_json:
            show_json({**found.to_dict(), "looks": [look.to_dict() for look in looks]})
            return
        show_fields(_told(found))
        columns = ["#look", "until", "#rows", "#champion", "#challenger", "#gain", "at any look", "verdict"]
        rows = [
            [
                look.number, look.until, look.rows, f"{look.champion_brier:.4f}", f"{look.challenger_brier:.4f}",
                f"{look.gain:+.4f}", f"{look.low:+.4f} to {look.high:+.4f}",
                word(look.verdict, "CANARY_VERDICT_").replace("_", " "),
            ]
            for look in looks
        ]  # fmt: skip
        show_table(columns, rows, empty="its canary was not looked at")


def _told(found: Retraining) -> Dict[str, Any]:
    """A retraining in words; of a canary what it must prove."""
    evaluation, plan = found.evaluation, found.canary_plan
    auc = evaluation and f"{evaluation.auc_difference:+.4f} ({evaluation.auc_low:+.4f} to {evaluation.auc_high:+.4f})"
    proof = plan and (
        f"{plan.percent:g} % of the traffic, {plan.rows:,} rows at most, margin {plan.margin:g}, level {plan.alpha:g}"
    )
    return {
        "challenger": found.challenger,
        "against": f"{found.model} {found.champion}",
        "state": word(found.state, "RETRAINING_STATE_").replace("_", " "),
        "AUC gained on fresh rows": auc or "",
        "canary": proof or "",
        "reason": found.reason,
        "started": found.started_at,
        "ended": found.ended_at,
    }


@app.command()
def levels(
    model: Optional[str] = typer.Argument(None),
    deployment: Optional[str] = typer.Option(None, help="Only of this deployment."),
    version: Optional[str] = typer.Option(None, help="Only of this version."),
    period_hours: int = Period,
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """How traffic does by the targets that are held with models."""
    with told(), modelog.connect() as client:
        named = {"deployment": deployment, "version": version}
        found = client.levels.list(model, **named, period_hours=period_hours, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(
                ["deployment", "model", "version", "objective", "#target", "#attained %", "#budget left %", "alert"],
                [row for level in found for row in _attainments(level)],
                empty="no traffic was held against targets yet; set them with `modelog model sla`",
            )


@app.command()
def level(
    deployment: str, version: str, period_hours: int = Period, as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """One version of a deployment: what was measured, and how it does by each target."""
    with told(), modelog.connect() as client:
        found = client.levels.get(deployment, version, period_hours=period_hours, as_of=as_of)
        if as_json:
            show_json(found)
            return
        show_fields(
            {
                "from": found.since,
                "until": found.until,
                "requests": found.requests,
                "not answered": found.errors,
                "p50 ms": found.latency_p50_ms,
                "p99 ms": found.latency_p99_ms,
            }
        )
        columns = ["objective", "#target", "#attained %", "#budget left %", "alert"]
        show_table(columns, [row[3:] for row in _attainments(found)], empty="nothing is promised")


def _attainments(level: ServiceLevel) -> List[List[Any]]:
    alerts = {alert.objective: word(alert.severity, "LEVEL_SEVERITY_") for alert in level.alerts}
    return [
        [
            level.deployment,
            level.model,
            level.version,
            word(a.objective, "LEVEL_OBJECTIVE_").replace("_", " "),
            a.target,
            round(a.attained_percent, 3),
            round(a.budget_left_percent, 1),
            alerts.get(a.objective, ""),
        ]
        for a in level.attainments
    ]
