"""modelog search ..."""

from __future__ import annotations

from typing import List, Optional

import typer

import modelog
from modelog.api.lineage import KINDS
from modelog.cli.output import AsJson, AsOf, pairs, say, show_json, show_table, told
from modelog.types import CatalogueEntry, Facet, Found

WORDS = {kind: word for word, kind in KINDS.items()}
# What tells most about a thing, as far as it has it.
SHOWN = ("stage", "status", "version", "author", "team")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search")(search)


def search(
    text: str = typer.Argument("", help="Words that must all be there; the last one may be begun only."),
    kinds: Optional[List[str]] = typer.Option(None, "--kind", help=f"Only these: {', '.join(KINDS)}."),
    tags: Optional[List[str]] = typer.Option(None, "--tag", help="Only with these tags: name=value."),
    limit: int = typer.Option(20, min=1, max=1000),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """Find models, versions, datasets, experiments, runs, deployments and monitors.

    Examples: `modelog search "flight delay"`, `modelog search --kind version --tag stage=production`,
    `modelog search xgboost --kind run --tag parameter.max_depth=6 --json`
    """
    with told(), modelog.connect() as client:
        found = client.lineage.search(text, kinds=kinds or (), tags=pairs(tags, "--tag"), limit=limit, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            _show(found)


def _show(found: Found) -> None:
    rows = [[WORDS.get(e.kind, e.kind), e.title, _told(e), e.id] for e in found.entries]
    show_table(["kind", "title", "", "node"], rows, empty="nothing found")
    if found.total > len(found.entries):
        say(f"{len(found.entries)} of {found.total}; more with --limit")
    if found.entries:
        say("kinds: " + _counts([Facet(name=WORDS.get(k.name, k.name), count=k.count) for k in found.kinds]))
        say("tags: " + _counts(found.tags[:8]))


def _told(entry: CatalogueEntry) -> str:
    return ", ".join(entry.tags[name] for name in SHOWN if entry.tags.get(name))


def _counts(facets: List[Facet]) -> str:
    return ", ".join(f"{facet.name} ({facet.count})" for facet in facets)
