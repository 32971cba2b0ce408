"""modelog experiment ..."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

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


@app.command("files")
def list_files(
    experiment_id: str,
    path: str = typer.Option("", help="Only this file, or what is in this folder."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Files of an experiment that belong to none of its runs."""
    with told(), modelog.connect() as client:
        found = client.runs.experiment_artifacts(experiment_id, path, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(
                ["path", "#bytes", "sha-256"], [[a.path, a.size_bytes, a.digest] for a in found], empty="no files"
            )


@app.command("add-file")
def add_file(experiment_id: str, file: Path, path: str = typer.Option("", help="[default: its name]")) -> None:
    """Add a file that belongs to none of its runs."""
    with told(), modelog.connect() as client:
        stored = client.artifacts.upload(file, path)
        client.runs.add_experiment_artifacts(experiment_id, [stored])
        say(f"{stored.path}: {stored.size_bytes:,} bytes, sha-256 {stored.digest}")


@app.command("remove-files")
def remove_files(experiment_id: str, paths: List[str]) -> None:
    """Take files or folders off an experiment; `files --as-of` still has them."""
    with told(), modelog.connect() as client:
        client.runs.remove_experiment_artifacts(experiment_id, paths)
        say(f"{', '.join(paths)} is off the experiment")


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
