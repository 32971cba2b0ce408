"""modelog webhook ..."""

from __future__ import annotations

from typing import List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_fields, show_json, show_table, told, word
from modelog.errors import ModelogError
from modelog.types import Delivery, Webhook

app = typer.Typer(
    help="Where the registry tells of what happens: webhooks, their deliveries, dead ones and replays.",
    no_args_is_help=True,
)
STATE = "DELIVERY_STATE_"
Id = typer.Argument(..., help="Its id; `modelog webhook list` names them.")
Secret = typer.Option(
    None, envvar="MODELOG_WEBHOOK_SECRET", show_envvar=True, help="What deliveries are signed with (HMAC-SHA256)."
)
Event = typer.Option(None, "--event", help="Such as model_version.created; may be repeated.")


@app.command()
def create(
    name: str,
    url: str = typer.Argument(..., help="An https address."),
    event: List[str] = typer.Option(..., "--event", help="Such as model_version.created; may be repeated."),
    secret: Optional[str] = Secret,
    description: str = typer.Option("", help="What it is for."),
    disabled: bool = typer.Option(False, "--disabled", help="Send nothing yet."),
    model: str = typer.Option("", help="Tell of what happens to this model only."),
    as_json: bool = AsJson,
) -> None:
    """Tell an address of events. Example: `modelog webhook create ci https://ci.example.org/hook --event run.failed`"""
    with told(), modelog.connect() as client:
        told_of = {"description": description, "model": model}
        made = client.webhooks.create(name, url, event, secret=secret or "", disabled=disabled, **told_of)
        _show([made], as_json)


@app.command("list")
def list_webhooks(as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """All webhooks, newest first."""
    with told(), modelog.connect() as client:
        _show(client.webhooks.list(as_of=as_of), as_json)


@app.command()
def show(webhook: str = Id, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One webhook."""
    with told(), modelog.connect() as client:
        found = client.webhooks.get(webhook, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_fields(found.to_dict())


@app.command()
def update(
    webhook: str = Id,
    name: Optional[str] = typer.Option(None),
    url: Optional[str] = typer.Option(None),
    event: Optional[List[str]] = Event,
    secret: Optional[str] = typer.Option(None, help="Another secret; an empty one takes it away."),
    description: Optional[str] = typer.Option(None),
    active: Optional[bool] = typer.Option(None, "--enable/--disable", help="Nothing is kept while it is disabled."),
    model: Optional[str] = typer.Option(None, help="Tell of this model only; an empty one means any."),
    as_json: bool = AsJson,
) -> None:
    """Change what is given. Example: `modelog webhook update 0b9c... --disable`"""
    with told(), modelog.connect() as client:
        done = client.webhooks.update(
            webhook,
            name=name,
            url=url,
            events=event or None,
            secret=secret,
            description=description,
            active=active,
            model=model,
        )
        _show([done], as_json)


@app.command()
def delete(webhook: str = Id) -> None:
    """Send nothing any more; what still waits is dead."""
    with told(), modelog.connect() as client:
        say(f"Deleted at position {client.webhooks.delete(webhook)}.")


@app.command("test")
def send_example(
    webhook: str = Id,
    event: str = typer.Option("", help="Of which event; by default the first that it has."),
    as_json: bool = AsJson,
) -> None:
    """Send an example once. Exit status 1 when it is not taken."""
    with told(), modelog.connect() as client:
        tried = client.webhooks.test(webhook, event)
        if as_json:
            show_json(tried)
        if not 200 <= tried.status < 300:
            raise ModelogError(tried.error or f"it answered {tried.status}: {tried.answer}")
        if not as_json:
            say(f"It answered {tried.status} in {tried.latency_ms:.0f} ms: {tried.answer}")


@app.command()
def deliveries(
    webhook: str = typer.Option("", help="Of this webhook only."),
    state: str = typer.Option("", help="waiting, delivered or dead."),
    limit: int = typer.Option(100, min=1, max=1000),
    as_json: bool = AsJson,
) -> None:
    """What was sent, waits or is dead, newest first."""
    with told(), modelog.connect() as client:
        _show_deliveries(client.webhooks.deliveries(webhook, state=state, limit=limit), as_json)


@app.command()
def dead(
    delivery: str = typer.Argument("", help="Its id: shows it with its body and attempts."),
    limit: int = typer.Option(100, min=1, max=1000),
    as_json: bool = AsJson,
) -> None:
    """What is not tried any more, or one delivery in full. Example: `modelog webhook dead`"""
    with told(), modelog.connect() as client:
        if not delivery:
            _show_deliveries(client.webhooks.deliveries(state="dead", limit=limit), as_json)
            return
        found = client.webhooks.delivery(delivery)
        if as_json:
            show_json(found)
            return
        show_fields({name: value for name, value in found.to_dict().items() if name != "tried"})
        rows = [[a.number, a.at, a.status or "", f"{a.latency_ms:.0f}", a.error or a.answer] for a in found.tried]
        show_table(["#attempt", "at", "status", "#ms", "answer"], rows, empty="not tried yet")


@app.command()
def replay(
    delivery: List[str] = typer.Argument(None, help="Ids of deliveries, dead or delivered."),
    webhook: str = typer.Option("", help="Instead: deliver a range of the log to this webhook."),
    first: int = typer.Option(1, min=1, help="The range's first position."),
    last: Optional[int] = typer.Option(None, min=1, help="The range's last position."),
) -> None:
    """Send again, under the same ids.

    Examples: `modelog webhook replay 7d79...`, `modelog webhook replay --webhook 0b9c... --first 100 --last 250`
    """
    with told(), modelog.connect() as client:
        if bool(delivery) == bool(webhook) or (webhook and last is None):
            raise modelog.Invalid("name deliveries, or give --webhook with --first and --last")
        for one in delivery or []:
            say(f"{client.webhooks.replay(one).id} is sent again.")
        if webhook and last is not None:
            client.webhooks.replay_events(webhook, first, last)
            say(f"Positions {first} to {last} are delivered to it. Look with: modelog webhook deliveries")


def _show(found: List[Webhook], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    rows = [
        [w.id, w.name, w.url, w.events, "" if w.active else "disabled", "yes" if w.has_secret else ""] for w in found
    ]
    show_table(["id", "name", "address", "events", "state", "signed"], rows, empty="no webhooks")


def _show_deliveries(found: List[Delivery], as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    rows = [[d.id, d.event, d.position, word(d.state, STATE), d.attempts, d.due_at, d.outcome] for d in found]
    show_table(["id", "event", "#position", "state", "#attempts", "due", "outcome"], rows, empty="no deliveries")
