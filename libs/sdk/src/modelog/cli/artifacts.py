"""modelog artifact ..."""

from __future__ import annotations

from pathlib import Path
from typing import List

import typer

import modelog
from modelog.cli.output import say, told

app = typer.Typer(help="Files, each named by the SHA-256 of its content.", no_args_is_help=True)


@app.command()
def upload(
    file: Path = typer.Argument(..., exists=True, help="The file to store; a folder is stored as one zip file."),
    run: str = typer.Option("", help="Log it to this run, which must be running."),
    path: str = typer.Option("", help="Its path inside the run [default: its name]."),
) -> None:
    """Store a file. One that broke off goes on where the platform has it. Example: `modelog artifact upload big.bin`"""
    with told(), modelog.connect() as client:
        begun: List[int] = []

        def tell(done: int, of: int) -> None:
            if not begun and done:
                say(f"{done:,} of {of:,} bytes are there already")
            begun.append(done)

        stored = client.artifacts.upload(file, path, on_progress=tell)
        if run:
            client.runs.log(run, artifacts=[stored])
        say(f"{stored.path}: {stored.size_bytes:,} bytes, sha-256 {stored.digest}")


@app.command()
def download(digest: str, target: Path) -> None:
    """Fetch a file by its digest, which is checked."""
    with told(), modelog.connect() as client:
        say(str(client.artifacts.download(digest, target)))
