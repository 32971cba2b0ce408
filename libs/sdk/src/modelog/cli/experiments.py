"""modelog experiment ..."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, InProject, InWorkspace, say, show_json, show_table, told

app = typer.Typer(help="Experiments, under which runs are grouped.", no_args_is_help=True)


@app.command("list")
def list_experiments(
    workspace: str = InWorkspace, project: str = InProject, as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """All experiments that are not deleted, by name."""
    with told(), modelog.connect() as client:
        found = client.runs.experiments(workspace=workspace, project=project, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [
                [e.id, e.name, f"{e.workspace}/{e.project}", e.description, e.author, e.tags, e.created_at]
                for e in found
            ]
            header = ["experiment", "name", "project", "description", "author", "tags", "created"]
            show_table(header, rows, empty="no experiments yet")


@app.command()
def rename(experiment_id: str, name: str) -> None:
    """Call an experiment otherwise; its id and runs stay."""
    with told(), modelog.connect() as client:
        client.runs.update_experiment(experiment_id, name=name)
        say(f"the experiment is called {name} now")


@app.command()
def delete(experiment_id: str) -> None:
    """Hide an experiment; it keeps its name."""
    with told(), modelog.connect() as client:
        client.runs.delete_experiment(experiment_id)
        say(f"the experiment is deleted; `modelog experiment restore {experiment_id}` brings it back")


@app.command()
def restore(experiment_id: str) -> None:
    """Take a deletion back."""
    with told(), modelog.connect() as client:
        found = client.runs.restore_experiment(experiment_id)
        say(f"the experiment {found.name} is back")
