"""The whole story, in order, and the summary at its end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flights.story import (
    step1_start,
    step2_datasets,
    step3_train,
    step4_approve,
    step5_deploy,
    step6_stream,
    step9_prove,
)
from flights.story.cast import MODEL, MONTHS, Loading, Story


def tell(console: Console, data_dir: Path, report: Path, web_port: int, profile: str) -> Story:
    """Tell it; the platform is left up. Raises what went wrong."""
    began = time.monotonic()
    story = Story(console, data_dir, web_port, profile)
    step1_start.tell(story, Loading())
    step2_datasets.tell(story)
    step3_train.tell(story)
    step4_approve.tell(story)
    step5_deploy.tell(story)
    step6_stream.tell(story)  # steps 7 and 8 happen while the year streams by
    step9_prove.tell(story, report)
    story.facts["seconds"] = time.monotonic() - began
    summary(story, report)
    return story


def summary(story: Story, report: Path) -> None:
    """The table at the end."""
    table = Table(title="\nThe year in one table", title_justify="left", box=None, header_style="bold")
    for column in ("month", "AUC as served", "95 %", "drifted features", "alert", "answered by"):
        table.add_column(column)
    for window in story.windows:
        quality = window.quality
        table.add_row(
            MONTHS[window.start.month] if window.start else "",
            f"{quality.auc:.3f}" if quality else "",
            f"{quality.auc_low:.3f} to {quality.auc_high:.3f}" if quality else "",
            f"{window.drifted_features} of {len(window.features)}",
            "quality" if window.quality_alert else "drift" if window.drift_alert else "",
            ", ".join(f"{version} ({q.rows:,})" for version, q in sorted(window.by_version.items())),
        )
    story.console.print(table)
    alerts = f"{len(story.listener.of('webhook'))} by webhook, {len(story.listener.of('slack'))} Slack-shaped"
    for name, value in (
        ("versions", f"{MODEL}: {story.facts['now']}"),
        ("alerts", alerts),
        ("events", f"{story.facts['events']:,}, proved unaltered"),
        ("took", f"{story.facts['seconds']:.0f} s"),
        ("report", str(report)),
        *pages(story),
    ):
        story.console.print(f"[bold]{name:<11}[/] {value}", highlight=False, soft_wrap=True)


def pages(story: Story) -> list[tuple[str, str]]:
    """The addresses of the web pages that tell the story; the token in them lets whoever has the address in."""
    token = story.admin.authorization["Authorization"].removeprefix("Bearer ")
    run = story.alice.runs.get(story.first.run_id)
    places = {
        "web page": "/",
        "model": f"/models/{MODEL}",
        "experiment": f"/experiments/{run.experiment_id}",
        "first run": f"/runs/{run.id}",
    }
    return [(name, f"{story.endpoints['web']}{place}#token={token}") for name, place in places.items()]


def stop(data_dir: Path) -> None:
    """Stop the platform."""
    subprocess.run([sys.executable, "-m", "modelog.cli.main", "down", "--data-dir", str(data_dir)], check=False)
