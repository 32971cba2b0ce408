"""modelog events ..."""

from __future__ import annotations

from typing import Dict, List, Optional

import typer

import modelog
from modelog.api.audit import to_line
from modelog.cli import dead, transfer
from modelog.cli.output import AsJson, AsOf, console, say, show_json, show_table, text, told
from modelog.errors import NotFound
from modelog.types import Difference, Event

app = typer.Typer(help="The event log: everything that happened.", no_args_is_help=True)
transfer.register(app)
app.add_typer(dead.app, name="dead")


@app.command("list")
def list_events(
    after: int = typer.Option(0, min=0, help="Events after this position."),
    stream: Optional[str] = typer.Option(None, help="A stream, or a category such as registry.model."),
    kind: Optional[str] = typer.Option(None, "--type", help="An event type, such as registry.VersionPromoted."),
    actor: Optional[str] = typer.Option(None, help="Who did it."),
    limit: int = typer.Option(50, min=1, max=1000),
    newest: bool = typer.Option(False, "--newest", help="Newest first."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Events by filter. Example: `modelog events list --type registry.VersionPromoted`"""
    with told(), modelog.connect() as client:
        found = client.audit.events(
            after=after, stream=stream, type=kind, actor=actor, limit=limit, newest_first=newest, as_of=as_of
        )
        if as_json:
            show_json(found)
        else:
            rows = [[e.position, e.recorded_at, e.actor, e.type, e.sentence] for e in found]
            show_table(["#position", "recorded", "actor", "type", "what happened"], rows, empty="no events")


@app.command()
def show(position: int) -> None:
    """One event, whole, as JSON."""
    with told(), modelog.connect() as client:
        found = client.audit.events(after=position - 1, limit=1)
        if not found or found[0].position != position:
            raise NotFound(f"there is no event at position {position}; the last one is {client.audit.head()}")
        show_json(found[0])


@app.command()
def follow(
    after: Optional[int] = typer.Option(None, min=0, help="Start after this position; without it: from now."),
) -> None:
    """Print events as they happen, one JSON object a line, until Ctrl-C."""
    with told(), modelog.connect() as client:
        try:
            for event in client.audit.follow(client.audit.head() if after is None else after):
                _line(event)
        except KeyboardInterrupt:
            console.print()


@app.command()
def diff(
    since: str = typer.Argument(..., help="A position or an RFC 3339 time."),
    until: Optional[str] = typer.Argument(None, help="A position or a time; without it: now."),
    as_json: bool = AsJson,
) -> None:
    """What changed between two moments, in words. Example: `modelog events diff 120 2013-06-01T00:00:00Z`"""
    with told(), modelog.connect() as client:
        found = client.audit.diff(since, until)
        if as_json:
            show_json(found)
        else:
            _tell(found)


def _tell(found: Difference) -> None:
    when = f", {text(found.first_at)} to {text(found.last_at)}" if found.first_at else ""
    say(f"Position {found.since} to {found.until}{when}: {found.events} events")
    new: Dict[str, List[str]] = {}
    for entity in found.entities:
        if entity.is_new:
            new.setdefault(entity.kind, []).append(entity.name)
    if new:
        say("New: " + ", ".join(f"{kind} {', '.join(names)}" for kind, names in new.items()))
    for entity in found.entities:
        say(f"\n{entity.kind} {entity.name}{' (new)' if entity.is_new else ''}")
        for sentence in entity.sentences:
            say(f"  {sentence}")
        if entity.left_off:
            say(f"  ... and {entity.left_off} more")
    if found.left_off:
        say(f"\n... and {found.left_off} more things changed; `modelog events diff` over a shorter time tells them")


def _line(event: Event) -> None:
    typer.echo(to_line(event))
