"""modelog monitor ..."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, show_json, show_table, told, word

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
            rows = [[r.challenger, word(r.state, "RETRAINING_STATE_"), r.champion, r.reason] for r in found]
            show_table(["challenger", "state", "against", "reason"], rows, empty="no challenger yet")
