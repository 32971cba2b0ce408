"""modelog run reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, errors, say, show_json, show_table, told
from modelog.config import resolve
from modelog.reproduction import Plan, reproduce
from modelog.reproduction.agreement import RELATIVE

EXIT_DIFFERS = 3


def register(app: typer.Typer) -> None:
    """Add this command to `modelog run`."""
    app.command("reproduce")(run_again)


def run_again(
    run_id: str,
    folder: Optional[Path] = typer.Option(
        None, help="Where environment, source and data go [default: .modelog/reproductions/RUN_ID]."
    ),
    repository: Optional[str] = typer.Option(
        None, help="Where the commit is [default: the repository here, then the one that was recorded]."
    ),
    absolute: float = typer.Option(0.0, min=0, help="How much a metric may differ."),
    relative: float = typer.Option(RELATIVE, min=0, help="How much a metric may differ, as a share of its value."),
    metric: List[str] = typer.Option([], "--metric", help="Only these metrics [default: all but system/...]."),
    timeout: float = typer.Option(3600.0, min=1, help="Seconds that the entry point may run."),
    as_json: bool = AsJson,
) -> None:
    """Run a run again, and tell which of its metrics agree.

    In an environment of the recorded Python and packages, from the recorded commit and diff, on the recorded datasets.
    Exit status 0: all agree; 3: one does not; 1: it could not be reproduced. Example:
    `modelog run reproduce 6f1d... --relative 0.001`
    """
    with told():
        where = folder or Path(".modelog") / "reproductions" / run_id
        plan = Plan(where, repository, absolute, relative, tuple(metric), timeout)
        url, token = resolve(None, None, None)
        with modelog.Client(url, token) as client:
            found = reproduce(client, token, run_id, plan, lambda step: errors.print(f"  {step}", highlight=False))
    if as_json:
        show_json(found)
    else:
        rows = [[a.metric, repr(a.recorded), _shown(a.again), _shown(a.difference), "yes" if a.agrees else "NO"]
                for a in found.metrics]  # fmt: skip
        show_table(["metric", "recorded", "again", "difference", "agrees"], rows, empty="")
        for note in found.notes:
            say(f"note: {note}")
        say(
            f"run {found.new_run_id} reproduces {run_id}: " + ("all metrics agree" if found.agrees else "not all agree")
        )
    if not found.agrees:
        raise typer.Exit(EXIT_DIFFERS)


def _shown(value: Optional[float]) -> str:
    return "not measured" if value is None else repr(value)
