"""modelog model sign, verify."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Optional

import typer

import modelog
from modelog import signing
from modelog.cli.output import fail, say, told

Password = typer.Option(None, envvar="MODELOG_KEY_PASSWORD", help="Of the private key, if it has one.")


def sign(
    name: str = typer.Argument(..., help="The model."),
    version: str = typer.Argument(..., help="The version."),
    key: Path = typer.Option(..., exists=True, dir_okay=False, help="A private key in PEM, on P-256, P-384 or P-521."),
    out: Optional[Path] = typer.Option(None, help="Keep what was signed in this folder."),
    password: Optional[str] = Password,
) -> None:
    """Sign a version's files together with its card, its bill of materials and the proofs of its approvals.

    Example: `modelog model sign flight-delay 1.0.0 --key signer.pem --out flight-delay-1.0.0`
    """
    with told(), modelog.connect() as client, tempfile.TemporaryDirectory() as scratch:
        folder = out or Path(scratch) / "signed"
        statement = signing.gather(client, name, version, folder)
        signing.sign(folder, key, password)
        kept = client.signatures.add(name, version, folder)
        approved = ", ".join(sorted({approval.by for approval in statement.approvals}))
        say(f"{name} {version}, approved by {approved}, is signed with the key {kept.key[:12]}.")


def verify(
    name: Optional[str] = typer.Argument(None, help="The model."),
    version: Optional[str] = typer.Argument(None, help="The version."),
    folder: Optional[Path] = typer.Option(None, exists=True, file_okay=False, help="Check this folder, offline."),
    key: Path = typer.Option(..., exists=True, dir_okay=False, help="The signer's public key in PEM."),
    log_key: Optional[Path] = typer.Option(None, exists=True, dir_okay=False, help="The log's public key."),
) -> None:
    """Check a signature: that of a version, or, without the platform, that of a folder. Exit status 1 when it fails.

    Example: `modelog model verify --folder flight-delay-1.0.0 --key signer.pub`
    """
    known = log_key.read_text().strip() if log_key is not None else ""
    with told():
        if folder is not None:
            statement = signing.verify(folder, key, known)
        elif name is None or version is None:
            fail("give a model and a version, or --folder")
            return
        else:
            statement = _of_platform(name, version, key, known)
        approved = ", ".join(f"{a.by} (position {a.position})" for a in statement.approvals)
        say(f"VERIFIED: {statement.model} {statement.version}, approved by {approved}, {len(statement.files)} files")


def _of_platform(name: str, version: str, key: Path, log_key: str) -> signing.Statement:
    with modelog.connect() as client, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        client.signatures.download(client.signatures.by_key(name, version, signing.fingerprint(key)), folder)
        client.models.download_files(name, version, folder / signing.MODEL)
        statement = signing.verify(folder, key, log_key)
        # A signature of before the model got its name is of it still.
        is_it = statement.model_id == client.models.get(name).id if statement.model_id else statement.model == name
    if not is_it or statement.version != version:
        fail(f"the signature is of {statement.model} {statement.version}")
    return statement


def register(app: typer.Typer) -> None:
    """Add the commands to `modelog model`."""
    app.command()(sign)
    app.command()(verify)
