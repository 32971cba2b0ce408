"""modelog run ..."""

from __future__ import annotations

import re
from typing import List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_fields, show_json, show_table, told, word
from modelog.types import Condition, Environment, Order

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


WHERE = re.compile(r"(attribute|metric|parameter|tag|dataset)\.([^=!<>]+?)\s*(=|!=|<=|>=|<|>)\s*(.*)")
SIGNS = {
    "=": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", "<=": "LESS_OR_EQUAL", ">": "GREATER", ">=": "GREATER_OR_EQUAL",
}  # fmt: skip
TIMES = ("start_time", "end_time")


@app.command()
def search(
    where: List[str] = typer.Argument(None, help="such as 'metric.auc>0.7' or 'tag.team=air'; all of them hold"),
    order: Optional[str] = typer.Option(None, help="such as metric.auc"),
    descending: bool = typer.Option(False, "--descending"),
    view: str = typer.Option("active", help="active, deleted or all"),
    text: str = typer.Option("", help="words of names, tags and parameters; the last one may be begun only"),
    limit: int = typer.Option(100, min=1, max=1000),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Runs that conditions hold for. Example: `modelog run search 'metric.auc>0.7' --order metric.auc --descending`"""
    with told(), modelog.connect() as client:
        by = []
        if order is not None:
            field, _, key = order.partition(".")
            by = [Order(field=f"FIELD_{field.upper()}", key=key, descending=descending)]
        conditions = [_condition(text) for text in where or []]
        found = client.runs.search(conditions, order_by=by, view=view, text=text, limit=limit, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [[r.id, r.experiment, r.name, word(r.status, "RUN_STATUS_"), r.metrics, r.started_at] for r in found]
            show_table(["run", "experiment", "name", "status", "metrics", "started"], rows, empty="no run is like that")


def _condition(text: str) -> Condition:
    """Raises Invalid for what is no condition."""
    match = WHERE.fullmatch(text.strip())
    if match is None:
        raise modelog.Invalid(
            f"{text!r} is no condition; write one such as metric.auc>0.7, parameter.depth=6, tag.team!=air"
        )
    field, key, sign, value = match.groups()
    about = (f"FIELD_{field.upper()}", key, f"COMPARISON_{SIGNS[sign]}")
    value = value.strip("'\"")
    if field != "metric" and key not in TIMES:
        return Condition(*about, text=value)
    try:
        return Condition(*about, number=float(value))
    except ValueError:
        raise modelog.Invalid(f"{text!r} compares a number with {value!r}; write a number") from None


@app.command("remove-artifacts")
def remove_artifacts(run_id: str, paths: List[str]) -> None:
    """Take files or folders off a run; `show --as-of` still has them. Example: `modelog run remove-artifacts 6f1d a`"""
    with told(), modelog.connect() as client:
        run = client.runs.remove_artifacts(run_id, paths)
        say(f"run {run_id} has {len(run.artifacts)} files left")


@app.command()
def delete(run_id: str) -> None:
    """Hide a run. Example: `modelog run delete 6f1d...`"""
    with told(), modelog.connect() as client:
        client.runs.delete(run_id)
        say(f"run {run_id} is deleted; `modelog run restore {run_id}` brings it back")


@app.command()
def restore(run_id: str) -> None:
    """Take a deletion back."""
    with told(), modelog.connect() as client:
        client.runs.restore(run_id)
        say(f"run {run_id} is back")


@app.command()
def show(run_id: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One run: parameters, metrics, artifacts, datasets, environment."""
    with told(), modelog.connect() as client:
        run = client.runs.get(run_id, as_of=as_of)
        if as_json:
            show_json(run)
            return
        environment = run.environment or Environment()
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
                "python": environment.python,
                "git commit": environment.git_commit + (" (dirty)" if environment.git_dirty else ""),
                "packages": f"{len(environment.packages)} recorded" if environment.packages else "",
                "entry point": " ".join([environment.entry_point, *environment.arguments]),
                "seeds": environment.seeds,
                "hardware": environment.hardware,
                "image": environment.container_image,
                "reproduces": run.tags.get("modelog.reproduces", ""),
                "started": run.started_at,
                "ended": run.ended_at,
                "error": run.error,
            }
        )
