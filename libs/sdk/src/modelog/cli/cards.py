"""modelog model card, bom."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import msgspec
import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_json, told
from modelog.errors import Invalid
from modelog.governance import CardParts

TEXTS = ("overview", "documentation", "diff", "model_architecture")
LISTS = ("users", "use_cases", "limitations", "tradeoffs", "references")


def card(
    name: str = typer.Argument(..., help="The model."),
    version: str = typer.Argument(..., help="The version."),
    html: Optional[Path] = typer.Option(None, help="Write the card as a page to this file."),
    markdown: Optional[Path] = typer.Option(None, help="Write the card as Markdown to this file."),
    texts: Optional[List[str]] = typer.Option(
        None, "--set", help="PART=TEXT, or PART=@FILE; of a list, such as limitations, once for each item."
    ),
    clear: Optional[List[str]] = typer.Option(None, help="Empty this part."),
    parts: Optional[Path] = typer.Option(None, help="Write the parts of this JSON file."),
    source: str = typer.Option(
        "", "--from", help="Take over what was written for this version, or for the `last` one, and not yet here."
    ),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """The card of a version: show it, write it to a file, or write what only people can say in it.

    Example: `modelog model card flight-delay 1.0.0 --set limitations="no snow in the data" --html card.html`
    """
    with told(), modelog.connect() as client:
        if texts or clear or parts or source:
            written = _parts(parts, texts or [])
            client.cards.edit(name, version, written, clear=clear or [], from_version=source)
        if html is not None or markdown is not None:
            rendered = client.cards.rendered(name, version, as_of=as_of)
            for file, text in ((html, rendered.html), (markdown, rendered.markdown)):
                if file is not None:
                    file.write_text(text, encoding="utf-8")
                    say(f"The card of {name} {version} is in {file}.")
        elif as_json:
            show_json(client.cards.get(name, version, as_of=as_of))
        else:
            typer.echo(client.cards.rendered(name, version, as_of=as_of).markdown)
            missing = client.cards.get(name, version, as_of=as_of).missing
            if missing:
                say(f"Not written yet: {', '.join(missing)}.")


def bom(
    name: str = typer.Argument(..., help="The model."),
    version: str = typer.Argument(..., help="The version."),
    out: Optional[Path] = typer.Option(None, help="Write it to this file."),
    as_of: Optional[str] = AsOf,
) -> None:
    """The bill of materials of a version (CycloneDX). Example: `modelog model bom flight-delay 1.0.0 --out bom.json`"""
    with told(), modelog.connect() as client:
        found = client.cards.bom(name, version, as_of=as_of)
        if out is None:
            typer.echo(found.json, nl=False)
        else:
            out.write_text(found.json, encoding="utf-8")
            say(f"The bill of materials of {name} {version} is in {out} (SHA-256 {found.digest}).")


def _parts(file: Optional[Path], texts: List[str]) -> CardParts:
    """The parts of a JSON file, and over them those of --set."""
    plain: Dict[str, Any] = {}
    if file is not None:
        try:
            plain = msgspec.json.decode(file.read_bytes(), type=Dict[str, Any])
        except (OSError, msgspec.DecodeError) as trouble:
            raise Invalid(f"{file}: {trouble}; `modelog model card --json` prints parts as they must look") from None
    lists: Dict[str, List[Any]] = {}
    for given in texts:
        name, equals, text = given.partition("=")
        value = _text(text)
        if not equals:
            raise Invalid(f"--set: {given!r} must look like part=text")
        if name in TEXTS:
            plain[name] = value
        else:
            lists.setdefault(name, []).append(_item(name, value))
    try:
        return msgspec.convert({**plain, **lists}, CardParts)
    except msgspec.ValidationError as trouble:
        raise Invalid(f"{file}: {trouble}") from None


def _text(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as trouble:
        raise Invalid(f"--set: {text[1:]} cannot be read: {trouble.strerror}") from None


def _item(name: str, text: str) -> Any:
    """One item of a list; those that have two fields are written as "first: second"."""
    first, _, second = (part.strip() for part in text.partition(": "))
    if name in LISTS:
        return text
    if name == "owners":
        return {"name": first, "contact": second}
    if name == "licenses":
        return {"identifier": text}
    if name == "ethical_considerations":
        return {"name": first, "mitigation_strategy": second}
    known = ", ".join([*TEXTS, *LISTS, "owners", "licenses", "ethical_considerations"])
    raise Invalid(f"--set: {name!r} is no part of a card that a text says; there are {known}")


def register(app: typer.Typer) -> None:
    """Add the commands to `modelog model`."""
    app.command()(card)
    app.command()(bom)
