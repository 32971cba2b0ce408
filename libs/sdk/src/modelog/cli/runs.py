"""modelog run ..."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, show_fields, show_json, show_table, told, word

app = typer.Typer(help="Runs of experiments.", no_args_is_help=True)


@app.command("list")
def list_runs(
    experiment: Optional[str] = typer.Argument(None),
    limit: int = typer.Option(100, min=1, max=1000),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Runs, newest first. Example: `modelog run list flight-delay`"""
    with told(), modelog.connect() as client:
        found = client.runs.list(experiment, limit=limit, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [[r.id, r.experiment, r.name, word(r.status, "RUN_STATUS_"), r.metrics, r.started_at] for r in found]
            show_table(["run", "experiment", "name", "status", "metrics", "started"], rows, empty="no runs yet")


@app.command()
def show(run_id: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One run: parameters, metrics, artifacts, datasets, environment."""
    with told(), modelog.connect() as client:
        run = client.runs.get(run_id, as_of=as_of)
        if as_json:
            show_json(run)
            return
        environment = run.environment
        show_fields(
            {
                "run": run.id,
                "experiment": run.experiment,
                "status": word(run.status, "RUN_STATUS_"),
                "author": run.author,
                "parameters": run.parameters,
                "metrics": run.metrics,
                "artifacts": [f"{a.path} {a.digest[:12]} ({a.size_bytes} bytes)" for a in run.artifacts],
                "datasets": [f"{d.dataset} {d.version} {d.digest[:12]}" for d in run.datasets],
                "python": environment.python if environment else "",
                "git commit": (environment.git_commit + (" (dirty)" if environment.git_dirty else ""))
                if environment
                else "",
                "packages": f"{len(environment.packages)} recorded" if environment else "",
                "started": run.started_at,
                "ended": run.ended_at,
                "error": run.error,
            }
        )
