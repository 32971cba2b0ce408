"""modelog import ..."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, errors, say, show_json, show_table, told
from modelog.moving import Choice, Ledger, Source, move
from modelog.moving.move import look

app = typer.Typer(help="Move over what another tool holds.", no_args_is_help=True)
EXIT_NOT_ALL = 3


@app.callback()
def root() -> None:
    """Move over what another tool holds."""


@app.command("mlflow")
def from_mlflow(
    url: str = typer.Argument(..., help="The MLflow server, such as http://127.0.0.1:5000."),
    experiment: List[str] = typer.Option([], "--experiment", "-e", help="Only experiments of these names."),
    model: List[str] = typer.Option([], "--model", "-m", help="Only registered models of these names."),
    no_experiments: bool = typer.Option(False, "--no-experiments", help="Registered models only."),
    no_models: bool = typer.Option(False, "--no-models", help="No registered models."),
    reviewer: Optional[str] = typer.Option(
        None, help="A user of the profile who approves what is in Production there. Without one it waits in Staging."
    ),
    jobs: int = typer.Option(4, min=1, max=64, help="How many things are moved at a time."),
    compare_files: bool = typer.Option(
        False, "--compare-files", help="Fetch files that are here with the same size, too, and compare their SHA-256."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Count what there is, and write nothing."),
    as_json: bool = AsJson,
) -> None:
    """Move over what an MLflow server holds.

    Experiments, runs, metrics, files, logged models, registered models. Asking again moves what is missing. Credentials
    of the server are taken from MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN. Exit
    status 0: all was moved; 3: not all of it, and the table says what and why. Example:
    `modelog import mlflow http://127.0.0.1:5000 --dry-run`
    """
    choice = Choice(tuple(experiment), tuple(model), no_experiments, no_models)
    ledger = Ledger(_progress)
    source = Source(url)
    with told():
        try:
            if dry_run:
                look(source, choice, ledger)
            else:
                with modelog.connect() as client:
                    second = modelog.connect(user=reviewer) if reviewer else None
                    move(source, client, choice, ledger, second, jobs=jobs, compare=compare_files)
        finally:
            source.close()
    _show(ledger, dry_run, as_json)
    if ledger.not_moved:
        raise typer.Exit(EXIT_NOT_ALL)


def _show(ledger: Ledger, dry_run: bool, as_json: bool) -> None:
    if as_json:
        counts: Dict[str, Any] = {kind: count.to_dict() for kind, count in ledger.counts.items()}
        show_json({"counts": counts, "not_moved": ledger.not_moved, "dry_run": dry_run})
        return
    kinds = [*ledger.counts, *dict.fromkeys(each.kind for each in ledger.not_moved if each.kind not in ledger.counts)]
    rows = []
    for kind in kinds:
        count = ledger.counts.get(kind)
        moved, known = (count.moved, count.known) if count is not None else (0, 0)
        rows.append([kind, moved, *([] if dry_run else [known]), ledger.refused(kind)])
    columns = ["what", "#there", "#not to be moved"] if dry_run else ["what", "#moved", "#were here", "#not moved"]
    show_table(columns, rows, empty="")
    if ledger.not_moved:
        say("")
        show_table(["not moved", "name", "why"], [[n.kind, n.name, n.why] for n in ledger.not_moved], empty="")


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        errors.print(f"  {step[:100]:<100}", end="\r", highlight=False, markup=False)
