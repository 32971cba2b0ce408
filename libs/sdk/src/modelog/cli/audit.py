"""modelog audit ..."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, console, fail, say, show_json, told

app = typer.Typer(help="Proofs that the log was not altered.", no_args_is_help=True)


@app.command()
def verify(
    store: Optional[Path] = typer.Option(None, help="Check this copy of the event store here, without the platform."),
    checkpoint: Optional[Path] = typer.Option(None, help="With --store: the signed checkpoint."),
    key: Optional[Path] = typer.Option(None, help="With --store: the public key."),
    as_json: bool = AsJson,
) -> None:
    """Hash the whole event store again and compare it with the signed checkpoint; exit status 1 when it differs.

    Example: `modelog audit verify`, or offline
    `modelog audit verify --store events.db --checkpoint checkpoint.txt --key audit.pub`
    """
    if store is not None:
        _offline(store, checkpoint, key, as_json)
        return
    with told(), modelog.connect() as client:
        report = client.audit.verify()
        if as_json:
            show_json(report)
        else:
            for finding in report.findings:
                say(finding)
            console.print("[bold green]intact[/]" if report.intact else "[bold red]ALTERED[/]")
        if not report.intact:
            raise typer.Exit(1)


def _offline(store: Path, checkpoint: Optional[Path], key: Optional[Path], as_json: bool) -> None:
    from modelog_proofs import verify_store

    if checkpoint is None or key is None:
        fail("--store needs --checkpoint and --key: what was signed, and the key that checks it")
        return
    report = verify_store(store, checkpoint.read_text(), key.read_text().strip())
    if as_json:
        show_json(report.as_dict())
    else:
        say(report.text())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def checkpoint(
    out: Optional[Path] = typer.Option(None, help="Write the note to this file."),
    key_out: Optional[Path] = typer.Option(None, help="Write the public key to this file."),
    as_json: bool = AsJson,
) -> None:
    """The newest signed statement of the log. Keep it elsewhere: later logs are held against it."""
    with told(), modelog.connect() as client:
        found = client.audit.checkpoint()
        if out is not None:
            out.write_text(found.note)
        if key_out is not None:
            key_out.write_text(found.public_key + "\n")
        if as_json:
            show_json(found)
        else:
            typer.echo(found.note)


@app.command()
def proof(position: int, out: Optional[Path] = typer.Option(None, help="Write the bundle to this file.")) -> None:
    """A bundle that proves, with the public key alone, that an event is in the log."""
    with told(), modelog.connect() as client:
        bundle = client.audit.proof(position)
        if out is not None:
            out.write_text(bundle)
            say(f"{out}: the proof of position {position}")
        else:
            typer.echo(bundle)
