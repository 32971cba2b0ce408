"""modelog events dead ..."""

from __future__ import annotations

import typer

import modelog
from modelog.cli.output import AsJson, errors, say, show_fields, show_json, show_table, told
from modelog.errors import ModelogError

app = typer.Typer(help="Messages that a consumer could never handle: list, show, replay.", no_args_is_help=True)


@app.command("list")
def list_letters(
    limit: int = typer.Option(100, min=1, max=1000, help="Most of each service."),
    replayed: bool = typer.Option(False, "--replayed", help="Also those that were replayed."),
    as_json: bool = AsJson,
) -> None:
    """Dead letters of all services, oldest first. Example: `modelog events dead list --json`"""
    with told(), modelog.connect() as client:
        found = client.dead_letters.list(limit=limit, replayed=replayed)
        if as_json:
            show_json(found)
        else:
            rows = [[d.id, d.buried_at, d.consumer, d.topic, d.attempts, d.state, d.reason] for d in found]
            columns = ["id", "refused", "consumer", "topic", "#attempts", "state", "reason"]
            show_table(columns, rows, empty="no dead letters")
        for service, why in client.dead_letters.unanswered.items():
            errors.print(f"{service} did not answer; its dead letters are not listed: {why}", markup=False)
        if client.dead_letters.unanswered:
            raise typer.Exit(1)


@app.command()
def show(letter: str = typer.Argument(..., help="Its id."), as_json: bool = AsJson) -> None:
    """One dead letter with its message. Example: `modelog events dead show lineage-7d793037a0760186`"""
    with told(), modelog.connect() as client:
        found = client.dead_letters.get(letter)
        if as_json:
            show_json(found)
            return
        fields = {name: value for name, value in found.to_dict().items() if name not in ("headers", "value")}
        show_fields({**fields, **found.headers, "message": found.value.decode(errors="replace")})


@app.command()
def replay(letter: str = typer.Argument(..., help="Its id."), as_json: bool = AsJson) -> None:
    """Give a message back to the consumer that refused it, once.

    It comes out of its order: after what followed it. Example: `modelog events dead replay lineage-7d793037a0760186`
    """
    with told(), modelog.connect() as client:
        done = client.dead_letters.replay(letter)
        if as_json:
            show_json(done)
        elif done.state == "replayed":
            say(f"{done.consumer} has handled it.")
        if done.state == "dead":
            raise ModelogError(f"{done.consumer} refused it again (attempt {done.attempts}): {done.reason}")
        if done.state == "asked":
            raise ModelogError(f"{done.consumer} has not come to it yet; it will. Look with: modelog events dead list")
