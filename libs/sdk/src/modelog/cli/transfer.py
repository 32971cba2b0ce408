"""modelog events export, import, renew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Optional

import typer

import modelog
from modelog.cli.output import errors, fail, say, told
from modelog.cli.platform import of_platform
from modelog.export import export_events

STORE = "A store's address, such as sqlite:///.modelog/data/events.db or postgresql://user@host/name."


def register(app: typer.Typer) -> None:
    """Add these commands to `modelog events`."""
    app.command("export")(export)
    app.command("import")(import_file)
    app.command("renew")(renew)


def export(
    file: Path = typer.Argument(..., help="The file to write; one that ends in .gz is compressed."),
    store: Optional[str] = typer.Option(None, help=f"Read it here, without the platform. {STORE}"),
    first: int = typer.Option(1, "--from", min=1, help="The first position."),
    until: Optional[int] = typer.Option(None, min=1, help="The last position; without it: the last there is."),
) -> None:
    """Write events into a file, one a line, as JSON of CloudEvents.

    Without --store the platform is asked, which gives the events of your tenant. Example:
    `modelog events export log.jsonl.gz --store sqlite:///.modelog/data/events.db`
    """
    with told():
        if store is None:
            with modelog.connect() as client:
                written = export_events(client.audit, file, first, until, progress)
            say(f"{file}: {written} events")
            return
        moved = of_platform("export_events")(store, file, first, until, progress)
        say(f"{file}: {moved.last - moved.first + 1} events, positions {moved.first} to {moved.last}{_root(moved)}")


def import_file(
    file: Path = typer.Argument(..., exists=True, dir_okay=False, help="A file that `modelog events export` wrote."),
    store: str = typer.Option(..., help=STORE),
    checkpoint: Optional[Path] = typer.Option(None, help="A signed checkpoint that the events must agree with."),
    key: Optional[Path] = typer.Option(None, help="With --checkpoint: the public key."),
) -> None:
    """Add the events of a file to a store: the same positions, the same bytes, the same proofs.

    The store must be empty, or hold the events before those of the file; what it holds already is compared. An import
    that was broken off goes on when it is asked for again. Stop the platform first. Example:
    `modelog events import log.jsonl.gz --store postgresql://modelog@db/modelog`
    """
    if (checkpoint is None) != (key is None):
        fail("--checkpoint and --key go together: what was signed, and the key that checks it")
    with told():
        signed = (checkpoint.read_text(), key.read_text().strip()) if checkpoint and key else None
        moved = of_platform("import_events")(store, file, signed, progress)
        known = moved.last - moved.first + 1 - moved.added
        was = f" ({known} were there)" if known else ""
        say(f"{file}: {moved.added} events added{was}, the last position is {moved.last}{_root(moved)}")


def renew(store: str = typer.Option(..., help=STORE)) -> None:
    """Have everything that follows a log begin again, after its database was set back by its own tools.

    Stop the platform first. What `modelog backup restore` and `modelog events import` fill needs no renewing. Example:
    `modelog events renew --store postgresql://modelog@db/modelog`
    """
    with told():
        head = of_platform("renew_store")(store)
        say(f"the log that ends at position {head} has another history now: what follows it begins again")


def _root(moved: Any) -> str:
    from modelog_proofs.keys import encode_base64

    return f", root {encode_base64(moved.root)}" if moved.root else ""


def progress(done: int, total: int) -> None:
    """Tell how far it is, on a terminal's error stream only."""
    if sys.stderr.isatty() and (done % 1000 == 0 or done == total):
        errors.print(f"  {done:,}{f' of {total:,}' if total else ''} events", end="\r", highlight=False)
