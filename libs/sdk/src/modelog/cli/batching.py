"""modelog batch: a file through a model."""

from __future__ import annotations

from pathlib import Path

import typer

import modelog
from modelog.batch import ROWS_AT_ONCE, run_batch
from modelog.cli.output import errors, say, told


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command()(batch)


def batch(
    deployment: str = typer.Argument(..., help="DEPLOYMENT, or DEPLOYMENT:VERSION."),
    source: Path = typer.Argument(..., metavar="INPUT", help="A CSV or Parquet file with the model's columns."),
    output: Path = typer.Argument(..., metavar="OUTPUT", help="A CSV or Parquet file that is to be made."),
    rows_at_once: int = typer.Option(ROWS_AT_ONCE, min=1, max=10_000, help="So many rows are one request, and a part."),
) -> None:
    """Every row of a file with what a deployed version answers; nothing of it is logged.

    The same command again goes on where it was broken off. Example: `modelog batch flight-delay june.csv scored.csv`
    """

    def progress(rows: int) -> None:
        if errors.is_terminal:
            errors.print(f"{rows:,} rows", end="\r")

    name, _, version = deployment.partition(":")
    with told(), modelog.connect() as client:
        rows = run_batch(client, name, source, output, version=version, rows_at_once=rows_at_once, progress=progress)
        say(f"{output}: {rows:,} rows")
