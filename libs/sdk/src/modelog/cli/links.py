"""modelog link ..."""

from __future__ import annotations

from typing import Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_json, show_table, told

app = typer.Typer(help="Links that show one thing to whoever has them.", no_args_is_help=True)
Experiment = typer.Option("", "--experiment", help="An experiment's id.")
Run = typer.Option("", "--run", help="A run's id.")
Model = typer.Option("", "--model", help="A model, with --version.")
Version = typer.Option("", "--version", help="The model's version.")


@app.command()
def create(
    experiment: str = Experiment,
    run: str = Run,
    model: str = Model,
    version: str = Version,
    days: float = typer.Option(7, help="How long it is good, at most 90."),
) -> None:
    """Share one thing. Example: `modelog link create --run 7f3c --days 14`"""
    with told(), modelog.connect() as client:
        made = client.links.create(experiment_id=experiment, run_id=run, model=model, version=version, days=days)
        expires = made.link.expires_at if made.link else None
        say(f"{client.url}/shared#{made.token}")
        say(f"Whoever has it sees it until {expires:%Y-%m-%d %H:%M} UTC; it is told once.")


@app.command("list")
def list_links(
    experiment: str = Experiment,
    run: str = Run,
    model: str = Model,
    version: str = Version,
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Links that were made, of one thing or of all."""
    with told(), modelog.connect() as client:
        found = client.links.list(experiment_id=experiment, run_id=run, model=model, version=version, as_of=as_of)
        if as_json:
            show_json(found)
            return
        rows = [
            [x.id, x.run_id or x.experiment_id or f"{x.model} {x.version}", x.by, x.expires_at, x.revoked_by]
            for x in found
        ]
        show_table(["link", "shows", "by", "good until", "revoked by"], rows, empty="no links yet")


@app.command()
def revoke(link_id: str) -> None:
    """Let nobody see by a link any more."""
    with told(), modelog.connect() as client:
        client.links.revoke(link_id)
        say("the link shows nothing any more")


@app.command("open")
def open_link(token: str) -> None:
    """What a link shows now, as JSON; the token is what follows # in its address."""
    with told(), modelog.connect() as client:
        show_json(client.links.open(token.rpartition("#")[2]))
