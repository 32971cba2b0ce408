"""modelog model alias, tag, describe, rename, delete, history, search, facets: what is done with models there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional

import msgspec
import typer

import modelog
from modelog.api.models import where
from modelog.cli.models import COLUMNS, row
from modelog.cli.output import AsJson, AsOf, pairs, say, show_json, show_table, told, word
from modelog.errors import Invalid
from modelog.types import Condition, ModelFact, PromotionRules, RefusedPromotion

Name = typer.Argument(..., help="The model.")
OneVersion = typer.Argument(None, help="One version of it.")


def alias(
    name: str,
    alias: str,
    version: Optional[str] = OneVersion,
    delete: bool = typer.Option(False, help="Take the alias away."),
    as_of: Optional[str] = AsOf,
) -> None:
    """Point an alias to a version, take it away, or say where it points.

    Example: `modelog model alias flight-delay champion 1.0.0`
    """
    with told(), modelog.connect() as client:
        if delete:
            client.models.delete_alias(name, alias)
            say(f"{name} has no alias {alias} any more.")
        elif version is None:
            say(f"{alias} is {name} {client.models.by_alias(name, alias, as_of=as_of).version}.")
        else:
            client.models.set_alias(name, alias, version)
            say(f"{alias} is {name} {version}.")


def tag(
    name: str,
    version: Optional[str] = OneVersion,
    tags: Optional[List[str]] = typer.Option(None, "--set", help="name=value; may be given more than once."),
    removed: Optional[List[str]] = typer.Option(None, "--remove", help="A name; may be given more than once."),
) -> None:
    """Set tags of a model or a version, take others away.

    Example: `modelog model tag flight-delay 1.0.0 --set checked=yes`
    """
    with told(), modelog.connect() as client:
        wanted = pairs(tags, "--set")
        if version is None:
            found = client.models.tag(name, wanted, removed or []).tags
        else:
            found = client.models.tag_version(name, version, wanted, removed or []).tags
        told_tags = ", ".join(f"{key}={value}" for key, value in sorted(found.items())) or "no tags"
        say(f"{name}{' ' + version if version else ''} has {told_tags}.")


def describe(name: str, text: str, version: Optional[str] = typer.Option(None, help="One version of it.")) -> None:
    """Describe a model or a version anew. Example: `modelog model describe flight-delay "Will it be late?"`"""
    with told(), modelog.connect() as client:
        if version is None:
            client.models.update(name, description=text)
        else:
            client.models.update_version(name, version, description=text)
        say(f"{name}{' ' + version if version else ''} is described anew.")


def rename(name: str, new_name: str) -> None:
    """Call a model otherwise, with its versions; not while a deployment serves it. `--as-of` still shows the old name.

    Example: `modelog model rename flight-delay delays`
    """
    with told(), modelog.connect() as client:
        model = client.models.rename(name, new_name)
        say(f"{name} is called {model.name} now (position {model.position}).")


def delete(
    name: str, version: Optional[str] = OneVersion, reason: str = typer.Option("", "--reason", "-m", help="Why.")
) -> None:
    """Hide a version, or a model with all of them; not while one is in production. `--as-of` still shows it."""
    with told(), modelog.connect() as client:
        if version is None:
            position = client.models.delete(name, reason)
        else:
            position = client.models.delete_version(name, version, reason)
        say(f"{name}{' ' + version if version else ''} is deleted (position {position}).")


def history(
    name: str, version: Optional[str] = OneVersion, as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """Who did what to a model or a version, and when. Example: `modelog model history flight-delay 1.0.0`"""
    with told(), modelog.connect() as client:
        facts = client.models.history(name, version or "", as_of=as_of)
        if as_json:
            show_json(facts)
        else:
            columns = ["#position", "when", "who", "what", "version", "more", "why"]
            show_table(columns, [_told(fact) for fact in facts], empty="nothing happened yet")


def _told(fact: ModelFact) -> List[Any]:
    more = ""
    if fact.to_stage != "STAGE_UNSPECIFIED":
        more = f"{word(fact.from_stage, 'STAGE_')} to {word(fact.to_stage, 'STAGE_')}"
    elif fact.decision != "REVIEW_DECISION_UNSPECIFIED":
        more = word(fact.decision, "REVIEW_DECISION_")
    elif fact.change_decision not in ("", "CHANGE_DECISION_UNSPECIFIED"):
        more = f"change request {fact.change}: {word(fact.change_decision, 'CHANGE_DECISION_').replace('_', ' ')}"
    elif fact.change:
        more = f"change request {fact.change}"
    elif fact.alias:
        more = fact.alias + (f", before at {fact.from_version}" if fact.from_version else "")
    elif fact.tags_set or fact.tags_removed:
        more = ", ".join([*(f"{k}={v}" for k, v in fact.tags_set.items()), *(f"-{k}" for k in fact.tags_removed)])
    what = word(fact.kind, "FACT_KIND_").replace("_", " ")
    return [fact.position, fact.at, fact.by, what, fact.version, more, fact.reason]


def search(
    name: Optional[str] = typer.Option(None, help="A pattern: % stands for any text, _ for any character."),
    stage: Optional[str] = typer.Option(None, help="Versions in this stage."),
    alias: Optional[str] = typer.Option(None, help="Versions that have this alias."),
    author: Optional[str] = typer.Option(None, help="Versions of this person."),
    run: Optional[str] = typer.Option(None, help="Versions that this run made."),
    tags: Optional[List[str]] = typer.Option(None, "--tag", help="name=value; may be given more than once."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Versions that everything asked for holds of. Example: `modelog model search --name flight% --stage production`"""
    with told(), modelog.connect() as client:
        asked: List[Condition] = [where("model", "like", name)] if name else []
        for key, value in (("stage", stage), ("alias", alias), ("author", author), ("run_id", run)):
            asked += [where(key, "=", value)] if value else []
        asked += [where(f"tag.{key}", "=", value) for key, value in pairs(tags, "--tag").items()]
        found = client.models.search_versions(asked, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(COLUMNS, [row(v) for v in found], empty="no version is like that")


def facets(
    name: Optional[str] = typer.Option(None, help="A pattern: % stands for any text, _ for any character."),
    stage: Optional[str] = typer.Option(None, help="Models with a version in this stage."),
    flavor: Optional[str] = typer.Option(None, help="Models with a version of this framework."),
    kind: Optional[str] = typer.Option(None, "--type", help="Models that learn so."),
    tags: Optional[List[str]] = typer.Option(None, "--tag", help="name=value; may be given more than once."),
    text: str = typer.Option("", help="Only those that have these words in names, descriptions, tags or aliases."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """How many models there are of each framework, stage, type and tag.

    Example: `modelog model facets --stage production`
    """
    with told(), modelog.connect() as client:
        asked: List[Condition] = [where("name", "like", name)] if name else []
        for key, value in (("stage", stage), ("flavor", flavor), ("type", kind)):
            asked += [where(key, "=", value)] if value else []
        asked += [where(f"tag.{key}", "=", value) for key, value in pairs(tags, "--tag").items()]
        found = client.models.count(asked, text=text, as_of=as_of)
        if as_json:
            show_json(found)
            return
        rows = [[f.name, f"{c.key}={c.value}" if c.key else c.value, c.models] for f in found.facets for c in f.counts]
        show_table(["by", "value", "#models"], rows, empty="no model is like that")


def policy(
    file: Optional[Path] = typer.Option(None, "--set", help="Put the rules of this JSON file in force."),
    replay: Optional[Path] = typer.Option(None, help="Say what the rules of this JSON file would have refused."),
    reason: str = typer.Option("", "--reason", "-m", help="Why."),
    workspace: str = typer.Option("", "--workspace", "-w", help="Those of this workspace, else of the tenant."),
    as_of: Optional[str] = AsOf,
) -> None:
    """The rules of promotions: those in force, new ones, or what others would have refused.

    Example: `modelog model policy --replay stricter.json`
    """
    with told(), modelog.connect() as client:
        if file is not None:
            set_ = client.models.set_policy(_rules(file), reason, workspace=workspace)
            say(f"Version {set_.version} of the promotion policy is in force.")
        elif replay is not None:
            found = client.models.replay_promotions(_rules(replay), workspace=workspace, as_of=as_of)
            rows = [_refused(one) for one in found.refused]
            columns = ["#position", "model", "version", "to", "by", "would have been refused because"]
            show_table(columns, rows, empty="nothing would have been refused")
            say(f"{len(found.refused)} of {found.considered} promotions would have been refused.")
        else:
            show_json(client.models.policy(workspace=workspace, as_of=as_of))


def _refused(one: RefusedPromotion) -> List[Any]:
    p = one.promotion
    return [p.position, p.model, p.version, word(p.to_stage, "STAGE_"), p.by, "; ".join(one.reasons)]


def _rules(file: Path) -> PromotionRules:
    try:
        return msgspec.json.decode(file.read_bytes(), type=PromotionRules)
    except (OSError, msgspec.DecodeError) as trouble:
        raise Invalid(f"{file}: {trouble}; `modelog model policy` prints rules as they must look") from None


def register(app: typer.Typer) -> None:
    """Add the commands to `modelog model`."""
    for command in (alias, tag, describe, rename, delete, history, search, facets, policy):
        app.command()(command)
