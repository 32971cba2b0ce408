"""modelog dataset ..."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_json, show_table, told

app = typer.Typer(help="Datasets, each version named by its content.", no_args_is_help=True)


@app.command("list")
def list_datasets(
    dataset: Optional[str] = typer.Argument(None), as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """All datasets, or the versions of one. Example: `modelog dataset list flights --as-of 120`"""
    with told(), modelog.connect() as client:
        if dataset is None:
            found = client.datasets.list(as_of=as_of)
            if as_json:
                show_json(found)
            else:
                rows = [[d.name, d.latest_version, d.created_at] for d in found]
                show_table(["dataset", "#latest version", "created"], rows, empty="no datasets yet")
            return
        versions = client.datasets.versions(dataset, as_of=as_of)
        if as_json:
            show_json(versions)
        else:
            rows = [
                [v.version, v.label, v.rows, len(v.schema), v.digest[:16], v.author, v.created_at] for v in versions
            ]
            columns = ["#version", "label", "#rows", "#columns", "sha-256", "author", "created"]
            show_table(columns, rows, empty=f"{dataset} has no versions")


@app.command()
def register(dataset: str, file: Path, label: str = typer.Option("", help="What to call this version.")) -> None:
    """Add a Parquet file as a version. Example: `modelog dataset register flights january.parquet --label 2013-01`"""
    with told(), modelog.connect() as client:
        found = client.datasets.register(dataset, file, label=label)
        say(f"{dataset} {found.version}: {found.rows} rows, sha-256 {found.digest}")


@app.command()
def download(dataset: str, version: int, folder: Path = typer.Option(Path("."), help="Where to.")) -> None:
    """Fetch a version's Parquet file; its digest is checked."""
    with told(), modelog.connect() as client:
        say(str(client.datasets.download(dataset, version, folder)))
