"""modelog prove, and modelog verify: predictions as evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

import modelog
from modelog.cli.output import fail, say, told


def register(root: typer.Typer) -> None:
    """Add the commands to the root."""
    root.command()(prove)
    root.command()(verify)


def prove(
    prediction_id: str,
    deployment: Optional[str] = typer.Option(None, help="Needed where several deployments have this prediction."),
    out: Optional[Path] = typer.Option(None, help="Write the proof to this file."),
) -> None:
    """A document that proves an answer: its model file, run, data and approvals, with the log's public key alone.

    Example: `modelog prove 7f0c --out proof.json`, then `modelog verify proof.json --key audit.pub`
    """
    with told(), modelog.connect() as client:
        document = client.audit.prove(prediction_id, deployment)
        if out is not None:
            out.write_text(document)
            say(f"{out}: the proof of {prediction_id}")
        else:
            typer.echo(document)


def verify(
    proof: Path = typer.Argument(..., exists=True, dir_okay=False, help="A file that `modelog prove` wrote."),
    key: Path = typer.Option(
        ..., exists=True, dir_okay=False, help="The log's public key: `modelog audit checkpoint --key-out`."
    ),
) -> None:
    """Check the proof of a prediction here, without the platform; exit status 1 when it does not hold."""
    from modelog_proofs import ProofsError, verify_prediction

    try:
        proven = verify_prediction(proof.read_bytes(), key.read_text().strip())
    except ProofsError as error:
        fail(str(error))
        return
    say(proven.text())
