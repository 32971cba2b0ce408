"""modelog model compose."""

from __future__ import annotations

from typing import List, Tuple

import typer

import modelog
from modelog.cli.output import number, say, told
from modelog.composing import compose
from modelog.errors import Invalid


def register(app: typer.Typer) -> None:
    """Add the command to `modelog model`."""
    app.command("compose")(compose_version)


def compose_version(
    name: str,
    kind: str = typer.Argument(..., help="ensemble or chain"),
    member: List[str] = typer.Option(..., "--member", "-m", help="model@version or model@version=weight; in order."),
    combine: str = typer.Option("mean", help="What an ensemble answers with: mean, or vote for labels."),
) -> None:
    """Register an ensemble or a chain. Example: `modelog model compose delay ensemble -m trees@1.0.0 -m lines@1.2.0`"""
    with told(), modelog.connect() as client:
        made = compose(client, name, kind, [_member(text) for text in member], combine=combine)
        say(f"{name} {made.version} is {'an' if kind == 'ensemble' else 'a'} {kind} of {len(member)} versions.")


def _member(text: str) -> Tuple[str, str, float]:
    named, has_weight, weight = text.partition("=")
    model, at, version = named.rpartition("@")
    if not (model and at and version):
        raise Invalid(f"--member: {text!r} must be like flight-delay@1.0.0, or flight-delay@1.0.0=2")
    return model, version, number(weight, "--member") if has_weight else 1.0
