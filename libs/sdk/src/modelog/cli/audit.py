"""modelog audit ..."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, console, fail, say, show_json, told
from modelog.cli.platform import of_platform

STORE = "Check this copy of the event store here, without the platform: a file, an export, or a store's address."
app = typer.Typer(help="Proofs that the log was not altered.", no_args_is_help=True)


@app.command()
def verify(
    store: Optional[str] = typer.Option(None, help=STORE),
    checkpoint: Optional[Path] = typer.Option(None, help="With --store: the signed checkpoint."),
    key: Optional[Path] = typer.Option(None, help="With --store: the public key."),
    as_json: bool = AsJson,
) -> None:
    """Hash the whole event store again and compare it with the signed checkpoint; exit status 1 when it differs.

    Example: `modelog audit verify`, or offline
    `modelog audit verify --store events.db --checkpoint checkpoint.txt --key audit.pub`, where the store is an SQLite
    file, an export (.jsonl, .jsonl.gz), or an address such as postgresql://user@host/name
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


def _offline(store: str, checkpoint: Optional[Path], key: Optional[Path], as_json: bool) -> None:
    from modelog_proofs import verify_store

    if checkpoint is None or key is None:
        fail("--store needs --checkpoint and --key: what was signed, and the key that checks it")
        return
    note, public_key = checkpoint.read_text(), key.read_text().strip()
    if "://" in store:
        with told():
            report = of_platform("verify_store_at")(store, note, public_key)
    else:
        report = verify_store(store, note, public_key)
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


@app.command()
def check(
    bundle: Path = typer.Argument(..., exists=True, dir_okay=False, help="A file that `modelog audit proof` wrote."),
    key: Path = typer.Option(..., exists=True, dir_okay=False, help="The log's public key."),
) -> None:
    """Check a proof here, without the platform: that the event in it is in the log that the key's owner signed."""
    from modelog_proofs import ProofsError, verify_bundle

    try:
        proven = verify_bundle(bundle.read_bytes(), key.read_text().strip())
    except ProofsError as error:
        fail(str(error))
        return
    event, signed = proven.event, proven.checkpoint
    say(
        f"PROVEN: position {event.position} of {signed.origin} ({signed.size} events) is {event.type}, by {event.actor}"
    )


@app.command()
def extends(
    old: Path = typer.Argument(..., exists=True, dir_okay=False, help="A checkpoint that was kept elsewhere."),
    key: Path = typer.Option(..., exists=True, dir_okay=False, help="The public key that was kept with it."),
    new_key: Optional[Path] = typer.Option(
        None,
        exists=True,
        dir_okay=False,
        help="The key of today's log, when it is another one: a restored log has one.",
    ),
) -> None:
    """Prove that today's log begins with the log of an old checkpoint: nothing of it was changed or left out since."""
    from modelog_proofs import ProofsError, open_checkpoint, verify_consistency
    from modelog_proofs.keys import decode_base64

    with told(), modelog.connect() as client:
        try:
            before = open_checkpoint(old.read_text(), key.read_text().strip())
            proof = client.audit.consistency(before.size)
            after = open_checkpoint(proof.checkpoint.note, (new_key or key).read_text().strip())
            verify_consistency(
                before.size, before.root, after.size, after.root, [decode_base64(part) for part in proof.path]
            )
        except ProofsError as error:
            fail(str(error))
            return
    say(f"PROVEN: the log of {after.size} events begins with the {before.size} events that were signed then")
