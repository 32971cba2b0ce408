"""modelog events ..."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.api.audit import to_line
from modelog.cli.output import AsJson, AsOf, console, show_json, show_table, told
from modelog.errors import NotFound
from modelog.types import Event

app = typer.Typer(help="The event log: everything that happened.", no_args_is_help=True)


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
            rows = [[e.position, e.recorded_at, e.type, e.actor, e.stream] for e in found]
            show_table(["#position", "recorded", "type", "actor", "stream"], rows, empty="no events")


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


def _line(event: Event) -> None:
    typer.echo(to_line(event))
