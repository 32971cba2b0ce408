"""modelog logged-model ..."""

from __future__ import annotations

from typing import List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_fields, show_json, show_table, told, word
from modelog.types import MeasuredOn

app = typer.Typer(help="Models that runs made and that nobody has registered yet.", no_args_is_help=True)
STATUS = "LOGGED_MODEL_STATUS_"


@app.command("list")
def list_models(
    dataset: Optional[List[str]] = typer.Option(None, help="Only those measured on a dataset of this name."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Logged models, newest first. Example: `modelog logged-model list --dataset holdout`"""
    with told(), modelog.connect() as client:
        datasets = [MeasuredOn(dataset_name=name) for name in dataset or []]
        found = client.logged_models.search(datasets=datasets, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [[m.id, m.name, word(m.status, STATUS), m.source_run_id, m.created_at] for m in found]
            show_table(["logged model", "name", "status", "run", "created"], rows, empty="no logged models")


@app.command()
def show(model_id: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One logged model: parameters, metrics, files."""
    with told(), modelog.connect() as client:
        model = client.logged_models.get(model_id, as_of=as_of)
        if as_json:
            show_json(model)
            return
        show_fields(
            {
                "logged model": model.id,
                "name": model.name,
                "status": word(model.status, STATUS),
                "run": model.source_run_id,
                "parameters": model.parameters,
                "metrics": [f"{m.name} {m.value:g} {m.dataset_name}".strip() for m in model.metrics],
                "artifacts": [f"{a.path} {a.digest[:12]} ({a.size_bytes} bytes)" for a in model.artifacts],
                "tags": model.tags,
                "created": model.created_at,
            }
        )


@app.command("remove-artifacts")
def remove_artifacts(model_id: str, paths: List[str]) -> None:
    """Take files or folders off a logged model; `--as-of` still shows them."""
    with told(), modelog.connect() as client:
        model = client.logged_models.remove_artifacts(model_id, paths)
        say(f"the logged model {model_id} has {len(model.artifacts)} files left")
