"""modelog retirement ..., modelog model sla."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import msgspec
import typer

import modelog
from modelog.cli.output import AsJson, AsOf, say, show_fields, show_json, show_table, told, word
from modelog.errors import Invalid
from modelog.governance import RetirementRule, SlaTargets

app = typer.Typer(help="Versions that nobody needs: rules, announcements, objections.", no_args_is_help=True)


@app.command()
def policy(
    file: Optional[Path] = typer.Option(None, "--set", help="Put the rules of this JSON file, a list, in force."),
    reason: str = typer.Option("", "--reason", "-m", help="Why."),
    as_of: Optional[str] = AsOf,
) -> None:
    """The rules of retirement: those in force, or new ones. Example: `modelog retirement policy --set rules.json`"""
    with told(), modelog.connect() as client:
        if file is None:
            show_json(client.retirements.policy(as_of=as_of))
            return
        found = client.retirements.set_policy(_rules(file), reason)
        say(f"Version {found.version} of the retirement policy is in force.")


@app.command("list")
def list_retirements(
    model: str = typer.Argument("", help="Only this model's."),
    state: str = typer.Option("", help="announced, objected, called_off or archived"),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """What is announced, and what became of what was. Example: `modelog retirement list --state announced`"""
    with told(), modelog.connect() as client:
        found = client.retirements.list(model, state=state, as_of=as_of)
        if as_json:
            show_json(found)
            return
        rows = [
            [r.model, r.version, word(r.state, "RETIREMENT_STATE_"), r.due, r.reason, r.ended_by, r.ended_because]
            for r in found
        ]
        show_table(["model", "version", "state", "due", "because", "ended by", "why"], rows, empty="nothing announced")


@app.command("object")
def object_to(
    model: str, version: str, reason: str = typer.Option(..., "--reason", "-m", help="Why it is needed.")
) -> None:
    """Keep a version whose retirement is announced."""
    with told(), modelog.connect() as client:
        client.retirements.object(model, version, reason)
        say(f"{model} {version} is kept.")


@app.command()
def check() -> None:
    """Look at all models now; the platform does so by itself every hour."""
    with told(), modelog.connect() as client:
        found = client.retirements.check()
        say(f"{found.considered} models were looked at; something happened in {found.changed}.")


def sla(
    name: str = typer.Argument(..., help="The model."),
    p50_ms: Optional[float] = typer.Option(None, help="Half of all predictions are answered in this time."),
    p99_ms: Optional[float] = typer.Option(None, help="99 of 100 predictions are answered in this time."),
    availability: Optional[float] = typer.Option(None, help="Percent of the time."),
    freshness_hours: Optional[float] = typer.Option(None, help="How old the data of the training may be."),
    reason: str = typer.Option("", "--reason", "-m", help="Why."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """The service level targets of a model: show them, or set all of them anew.

    Example: `modelog model sla flight-delay --p99-ms 20 --availability 99.9`
    """
    targets = SlaTargets(
        latency_p50_ms=p50_ms,
        latency_p99_ms=p99_ms,
        availability_percent=availability,
        freshness_hours=freshness_hours,
    )
    with told(), modelog.connect() as client:
        if targets != SlaTargets():
            found = client.slas.set(name, targets, reason)
        else:
            found = client.slas.get(name, as_of=as_of)
        if as_json:
            show_json(found)
        elif not found.version:
            say(f"Nothing is promised of {name}.")
        else:
            told_by = {"model": name, "version": found.version, "by": found.by, "at": found.at, "why": found.reason}
            show_fields({**told_by, **found.targets.to_dict()})


def _rules(file: Path) -> List[RetirementRule]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=List[RetirementRule])
    except (OSError, msgspec.DecodeError) as trouble:
        raise Invalid(f"{file}: {trouble}; `modelog retirement policy` prints rules as they must look") from None


def register(model: typer.Typer) -> None:
    """Add the command to `modelog model`."""
    model.command()(sla)
