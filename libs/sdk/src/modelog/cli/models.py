"""modelog model ..."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, InProject, InWorkspace, say, show_fields, show_json, show_table, told, word
from modelog.types import ModelVersion

app = typer.Typer(help="Models, their versions, stages and approvals.", no_args_is_help=True)


def row(v: ModelVersion) -> List[Any]:
    """A version in a table with COLUMNS."""
    approved = [r.reviewer for r in v.reviews if r.decision.endswith("APPROVED")]
    return [v.model, v.version, word(v.stage, "STAGE_"), v.author, approved, v.metrics, v.created_at]


COLUMNS = ["model", "version", "stage", "author", "approved by", "metrics", "created"]


@app.command("list")
def list_models(
    workspace: str = InWorkspace,
    project: str = InProject,
    text: str = typer.Option("", help="Only those that have these words in names, descriptions, tags or aliases."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """All models and their versions. Example: `modelog model list --as-of 120`"""
    with told(), modelog.connect() as client:
        if text:
            found = client.models.search(text=text, workspace=workspace, project=project, as_of=as_of)
        else:
            found = client.models.list(workspace=workspace, project=project, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(COLUMNS, [row(v) for m in found for v in m.versions], empty="no model versions yet")


@app.command()
def show(
    name: str, version: Optional[str] = typer.Argument(None), as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """One model, or one version of it. Example: `modelog model show flight-delay 1.0.0`"""
    with told(), modelog.connect() as client:
        if version is None:
            model = client.models.get(name, as_of=as_of)
            if as_json:
                show_json(model)
            else:
                show_table(COLUMNS, [row(v) for v in model.versions], empty=f"{name} has no versions yet")
            return
        found = client.models.version(name, version, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_fields(_fields(found))


def _fields(v: ModelVersion) -> Dict[str, Any]:
    return {
        "model": f"{v.model} {v.version}",
        "stage": word(v.stage, "STAGE_"),
        "author": v.author,
        "aliases": v.aliases,
        "moved there": f"by {v.stage_by}" if v.stage_by else "",
        "description": v.description,
        "source": v.source,
        "reviews": [f"{word(r.decision, 'REVIEW_DECISION_')} by {r.reviewer}: {r.comment}" for r in v.reviews],
        "run": v.run_id,
        "datasets": [f"{d.dataset} {d.version}" for d in v.datasets],
        "flavor": v.flavor,
        "artifact": f"{v.artifact.path} {v.artifact.digest}" if v.artifact else "",
        "files": [a.path for a in v.artifacts] if len(v.artifacts) > 1 else [],
        "flavors": list(v.flavors),
        "hyperparameters": v.hyperparameters,
        "metrics": v.metrics,
        "tags": v.tags,
        "created": v.created_at,
        "position": v.position,
    }


@app.command()
def create(name: str, description: str = typer.Option("", help="What it is for.")) -> None:
    """Give a model its name. Example: `modelog model create flight-delay`"""
    with told(), modelog.connect() as client:
        model = client.models.create(name, description)
        say(f"Model {model.name} is registered (position {model.position}).")


@app.command()
def approve(name: str, version: str, comment: str = typer.Option(..., "--comment", "-m", help="Why.")) -> None:
    """Approve somebody else's version. Example: `modelog model approve flight-delay 1.0.0 -m "checked"`"""
    with told(), modelog.connect() as client:
        client.models.approve(name, version, comment)
        say(f"{name} {version} is approved.")


@app.command()
def reject(name: str, version: str, comment: str = typer.Option(..., "--comment", "-m", help="Why.")) -> None:
    """Reject somebody else's version."""
    with told(), modelog.connect() as client:
        client.models.reject(name, version, comment)
        say(f"{name} {version} is rejected.")


@app.command()
def promote(
    name: str,
    version: str,
    stage: str = typer.Argument(..., help="development, staging, production or archived"),
    reason: str = typer.Option("", help="Why."),
) -> None:
    """Move a version to another stage. Example: `modelog model promote flight-delay 1.0.0 staging`"""
    with told(), modelog.connect() as client:
        found = client.models.promote(name, version, stage, reason)
        say(f"{name} {version} is in {word(found.stage, 'STAGE_')}.")


@app.command()
def download(name: str, version: str, folder: Path = typer.Option(Path("."), help="Where to.")) -> None:
    """Fetch a version's file; its digest is checked."""
    with told(), modelog.connect() as client:
        say(str(client.models.download(name, version, folder)))
