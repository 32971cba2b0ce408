"""modelog backup ..."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

import typer

from modelog.cli.output import errors, fail, say, told
from modelog.cli.platform import DATA_DIR, of_platform

app = typer.Typer(help="Backups of a platform, as of a position of its log.", no_args_is_help=True)
FOLDER = typer.Argument(..., help="A folder of backups.")
STORE = "The address of the log, such as postgresql://user@host/name, if no platform ran in the data directory."
KEY = typer.Option(None, exists=True, dir_okay=False, help="The log's public key, kept elsewhere.")


@app.command()
def create(
    folder: Path = FOLDER,
    data_dir: Path = DATA_DIR,
    store: str = typer.Option("", help=STORE),
    until: Optional[int] = typer.Option(None, min=1, help="The last position; without it: the last there is."),
    secrets: bool = typer.Option(
        False, "--secrets", help="With the platform's tokens and keys: guard the folder then."
    ),
) -> None:
    """Back up a platform, while it runs. Blobs that are in the folder already are not copied again.

    Example: `modelog backup create /backups/modelog`
    """
    with told():
        made = of_platform("create_backup")(data_dir, store, folder, until, secrets, progress)
        signed = "signed" if made.is_signed else "not signed: the log's key is not in the data directory"
        say(f"{folder / str(made.position)}: position {made.position}, root {made.root}, {signed}")
        say(f"  {made.blobs} blobs, {made.copied} of them new")
        for place in made.elsewhere:
            say(f"  with {place}")
        if not secrets:
            say("  without tokens, the master key and the key that signs the log (--secrets)")


@app.command()
def verify(folder: Path = FOLDER, key: Optional[Path] = KEY) -> None:
    """Check the newest backup: every file and blob, and the log against what was signed; exit status 1 for damage."""
    with told():
        position, wrong = of_platform("verify_backup")(folder, _text(key), progress)
        if wrong:
            fail(f"the backup of position {position} is damaged:\n" + "\n".join(f"- {failure}" for failure in wrong))
        say(f"VERIFIED: the backup of position {position} is whole")


@app.command()
def restore(
    folder: Path = FOLDER,
    data_dir: Path = typer.Option(..., "--data-dir", "-d", help="A directory that is not there yet."),
    until: Optional[int] = typer.Option(None, min=1, help="Restore up to this position only."),
    store: str = typer.Option("", help="Restore the log into this empty store instead of the directory."),
    keep_audit_key: bool = typer.Option(
        False, "--keep-audit-key", help="Go on signing with the old key: only if the old platform is gone for good."
    ),
    erased: Optional[Path] = typer.Option(
        None, exists=True, dir_okay=False, help="What `modelog keys erased --json` printed: stays erased."
    ),
    key: Optional[Path] = KEY,
    profile: str = typer.Option("embedded", help="The profile that it will be started with; its server gets the log."),
) -> None:
    """Restore a platform, verified by the proofs before it is put in place. Start it with `modelog up -d DIRECTORY`.

    The restored log gets a new key, for two logs must never sign with the same one.
    """
    with told():
        restored = of_platform("restore_backup")
        position = restored(folder, data_dir, store, until, keep_audit_key, _text(key), progress, erased, profile)
        more = "" if profile == "embedded" else f" --profile {profile}"
        say(f"{data_dir}: restored up to position {position}; `modelog up --data-dir {data_dir}{more}` starts it")


def _text(key: Optional[Path]) -> str:
    return key.read_text().strip() if key else ""


def progress(what: str, done: int, total: int) -> None:
    """Tell how far it is, on a terminal's error stream only."""
    if sys.stderr.isatty():
        errors.print(f"  {what}: {done:,} of {total:,}   ", end="\r", highlight=False)
