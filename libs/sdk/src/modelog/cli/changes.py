"""modelog change ..."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, pairs, say, show_fields, show_json, show_table, told, word
from modelog.governance import ChangeRequest, EvidenceInput

app = typer.Typer(help="Change requests: who asks for a promotion, who looked, who applied it.", no_args_is_help=True)
Model = typer.Argument(..., help="The model.")
Number = typer.Argument(..., help="The number of the change request.")
Comment = typer.Option(..., "--comment", "-m", help="Why.")
COLUMNS = ["model", "#number", "version", "to", "state", "risk", "by", "approved by", "waits for", "title"]


def _row(c: ChangeRequest) -> List[Any]:
    return [
        c.model, c.number, c.version, word(c.to_stage, "STAGE_"), word(c.state, "CHANGE_STATE_"),
        word(c.risk, "RISK_"), c.by, c.approved_by, c.missing, c.title,
    ]  # fmt: skip


def _evidence(
    client: modelog.Client,
    files: Optional[List[str]],
    runs: Optional[List[str]],
    versions: Optional[List[str]],
    cards: Optional[List[str]],
) -> List[EvidenceInput]:
    """What the options --file, --run, --compare and --card name."""
    found = [client.changes.file(kind, Path(path)) for kind, path in pairs(files, "--file").items()]
    found += [client.changes.run(run) for run in runs or []]
    found += [client.changes.card(*named.rpartition("/")[::2]) for named in cards or []]
    return found + ([client.changes.comparison(versions)] if versions else [])


Files = typer.Option(None, "--file", help="KIND=FILE: comparison, validation_report, model_card, other; uploaded.")
RunIds = typer.Option(None, "--run", help="A run; its digest is kept. May be given more than once.")
Versions = typer.Option(None, "--compare", help="model/version; give two or more to attach their comparison.")
Cards = typer.Option(None, "--card", help="model/version: its model card as it is now.")


@app.command("open")
def open_change(
    model: str = Model,
    version: str = typer.Argument(..., help="The version."),
    stage: str = typer.Argument(..., help="staging or production"),
    title: str = typer.Option(..., help="In a few words."),
    risk: str = typer.Option(..., help="low, medium or high"),
    reasons: List[str] = typer.Option(..., "--because", help="Why that risk; may be given more than once."),
    description: str = typer.Option("", help="Markdown."),
    deployment: str = typer.Option(
        "", help="The deployment that is to serve it afterwards; applying changes no traffic."
    ),
    reviewers: Optional[List[str]] = typer.Option(None, "--reviewer", help="Who must approve."),
    asked: Optional[List[str]] = typer.Option(None, "--ask", help="Who is asked to look."),
    files: Optional[List[str]] = Files,
    runs: Optional[List[str]] = RunIds,
    versions: Optional[List[str]] = Versions,
    cards: Optional[List[str]] = Cards,
) -> None:
    """Ask for a promotion.

    Example: `modelog change open flight-delay 1.0.0 production --title "Live" --risk low --because "shadowed a week"`
    """
    with told(), modelog.connect() as client:
        found = client.changes.open(
            model,
            version,
            stage,
            title,
            risk=risk,
            risk_reasons=reasons,
            description=description,
            deployment=deployment,
            reviewers=reviewers or [],
            asked=asked or [],
            evidence=_evidence(client, files, runs, versions, cards),
        )
        say(f"Change request {found.number} of {model} is open (position {found.position}).")


@app.command("list")
def list_changes(
    model: str = typer.Argument("", help="Only this model's."),
    version: str = typer.Option("", help="Only this version's."),
    state: str = typer.Option("", help="open, approved, rejected, withdrawn or applied"),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Change requests, newest first. Example: `modelog change list --state open`"""
    with told(), modelog.connect() as client:
        found = client.changes.list(model, version=version, state=state, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(COLUMNS, [_row(c) for c in found], empty="no change requests")


@app.command()
def show(model: str = Model, number: int = Number, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One change request with all that was said. Example: `modelog change show flight-delay 3`"""
    with told(), modelog.connect() as client:
        found = client.changes.get(model, number, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            outlook = client.changes.outlook(model, number, as_of=as_of)
            kept_by = {"cannot be applied": outlook.because} if not found.ended_by else {}
            show_fields({**_fields(found), **kept_by})


def _fields(c: ChangeRequest) -> Dict[str, Any]:
    decisions = [(r, word(r.decision, "CHANGE_DECISION_").replace("_", " ")) for r in c.reviews]
    return {
        "change request": f"{c.number} of {c.model}: {c.title}",
        "wants": f"{c.version} to go to {word(c.to_stage, 'STAGE_')}",
        "then in": c.deployment,
        "state": word(c.state, "CHANGE_STATE_"),
        "risk": f"{word(c.risk, 'RISK_')}: {'; '.join(c.risk_reasons)}",
        "opened by": c.by,
        "opened": c.at,
        "description": c.description,
        "must approve": c.reviewers,
        "waits for": c.missing,
        "asked": c.asked,
        "evidence": [f"{e.name} ({e.link}) sha256:{e.digest}" for e in c.evidence],
        "reviews": [f"{d} by {r.reviewer}{'' if r.in_force else ' (stale)'}: {r.comment}" for r, d in decisions],
        "comments": [f"{said.by}: {said.text}" for said in c.comments],
        "ended by": c.ended_by,
        "ended": c.ended_at,
        "because": c.ended_because,
        "position": c.position,
    }


@app.command()
def attach(
    model: str = Model,
    number: int = Number,
    files: Optional[List[str]] = Files,
    runs: Optional[List[str]] = RunIds,
    versions: Optional[List[str]] = Versions,
    cards: Optional[List[str]] = Cards,
) -> None:
    """Add evidence, or renew it: approvals given before are stale.

    Example: `modelog change attach flight-delay 3 --file validation_report=report.html`
    """
    with told(), modelog.connect() as client:
        for evidence in _evidence(client, files, runs, versions, cards):
            client.changes.attach(model, number, evidence)
            say(f"{evidence.name} is attached.")


@app.command()
def ask(model: str = Model, number: int = Number, people: List[str] = typer.Argument(..., help="Whom.")) -> None:
    """Ask more people to look."""
    with told(), modelog.connect() as client:
        client.changes.ask(model, number, *people)
        say(f"{', '.join(people)} asked.")


@app.command()
def comment(model: str = Model, number: int = Number, text: str = typer.Argument(..., help="What.")) -> None:
    """Say something about it."""
    with told(), modelog.connect() as client:
        client.changes.comment(model, number, text)
        say("Said.")


@app.command()
def approve(
    model: str = Model,
    number: int = Number,
    reason: str = Comment,
    seen: Optional[int] = typer.Option(None, help="The revision of the evidence that you looked at."),
) -> None:
    """Approve somebody else's request. Example: `modelog change approve flight-delay 3 -m "checked"`"""
    with told(), modelog.connect() as client:
        found = client.changes.approve(model, number, reason, evidence_revision=seen)
        say(f"Change request {number} of {model} is {word(found.state, 'CHANGE_STATE_')}.")


@app.command("ask-for-changes")
def ask_for_changes(model: str = Model, number: int = Number, reason: str = Comment) -> None:
    """Not yet."""
    with told(), modelog.connect() as client:
        client.changes.ask_for_changes(model, number, reason)
        say(f"Change request {number} of {model} waits for changes.")


@app.command()
def reject(model: str = Model, number: int = Number, reason: str = Comment) -> None:
    """No: that ends it."""
    with told(), modelog.connect() as client:
        client.changes.reject(model, number, reason)
        say(f"Change request {number} of {model} is rejected.")


@app.command()
def withdraw(
    model: str = Model, number: int = Number, reason: str = typer.Option("", "--reason", "-m", help="Why.")
) -> None:
    """Take your own request back."""
    with told(), modelog.connect() as client:
        client.changes.withdraw(model, number, reason)
        say(f"Change request {number} of {model} is withdrawn.")


@app.command()
def apply(
    model: str = Model,
    number: int = Number,
    archive_others: bool = typer.Option(False, help="Archive the model's other versions in that stage."),
) -> None:
    """Promote the version as asked. Example: `modelog change apply flight-delay 3`"""
    with told(), modelog.connect() as client:
        found = client.changes.apply(model, number, archive_others=archive_others)
        say(f"{model} {found.version} is in {word(found.to_stage, 'STAGE_')}.")
