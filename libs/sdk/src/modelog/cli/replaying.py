"""modelog replay: logged requests, sent through a version again."""

from __future__ import annotations

from typing import Any, List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, errors, say, show_json, show_table, told
from modelog.replay import Difference

COLUMNS = ["slice", "answers", "mean difference", "largest", "changed"]


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command()(replay)


def replay(
    deployment: str,
    candidate: str = typer.Option("", help="The version that answers again; without it, the one that answered."),
    since: Optional[str] = typer.Option(None, "--from", help="What was answered from this time on (RFC 3339)."),
    until: Optional[str] = typer.Option(None, "--to", help="What was answered before this time (RFC 3339)."),
    by: Optional[str] = typer.Option(None, "--slice", help="A feature: differences by its values, or its tenths."),
    tolerance: float = typer.Option(0.0, min=0.0, help="How far outputs may be apart without having changed."),
    as_json: bool = AsJson,
) -> None:
    """Send logged requests through a version again and compare the answers; nothing of it is logged.

    Example: `modelog replay flight-delay --candidate 1.1.0 --from 2026-11-24T00:00:00Z --slice distance`
    """

    def progress(answers: int, share: float) -> None:
        if errors.is_terminal:
            errors.print(f"{answers:,} answers, {100 * share:.0f} % of the log", end="\r")

    with told(), modelog.connect() as client:
        found = client.deployments.replay(
            deployment, candidate, since=since, until=until, slice=by, tolerance=tolerance, progress=progress
        )
        if as_json:
            show_json(found.to_dict())
            return
        answered = ", ".join(f"{count:,} by {version}" for version, count in found.versions.items())
        say(f"{deployment}: answered {answered or 'nothing'}; again by {candidate or 'the same versions'}")
        show_table(COLUMNS, [_row(each) for each in (found.whole, *found.slices)], empty="")
        say(f"logged    {found.logged_digest}")
        say(f"replayed  {found.replayed_digest}{' (identical)' if found.identical else ''}")
        if found.erased:
            say(f"left out: {found.erased:,} answers, whose texts cannot be read since their subjects were erased")


def _row(found: Difference) -> List[Any]:
    return [
        found.slice,
        f"{found.count:,}",
        f"{found.mean_absolute:.6g}",
        f"{found.largest:.6g}",
        f"{100 * found.changed:.3g} %",
    ]
