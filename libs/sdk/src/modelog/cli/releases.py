"""modelog release ..., modelog rollback and modelog traffic."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import typer

import modelog
from modelog.cli.deployments import COLUMNS as TRAFFIC_COLUMNS
from modelog.cli.deployments import row as traffic_row
from modelog.cli.output import AsJson, AsOf, number, pairs, say, show_fields, show_json, show_table, told, word
from modelog.errors import Invalid
from modelog.release import Release, ReleaseEvidence, ReleaseLook

app = typer.Typer(help="Releases: a version takes over a deployment's traffic, step by step.", no_args_is_help=True)
COLUMNS = ["deployment", "#release", "pattern", "from", "to", "state", "#step", "#%", "why"]


def register(root: typer.Typer) -> None:
    """Add `modelog rollback` and `modelog traffic` to the root."""
    root.command()(rollback)
    root.command()(traffic)


@app.command()
def start(
    deployment: str,
    version: str,
    pattern: str = typer.Option("canary", help="canary, blue-green, rolling or shadow"),
    steps: str = typer.Option("", help="The candidate's shares, such as 5,25,50,100."),
    alpha: float = typer.Option(0.05, help="How often a version that is no better may be promoted."),
    errors: Optional[float] = typer.Option(None, help="How much higher the share of failed requests may be: 0.01."),
    latency: Optional[float] = typer.Option(None, help="How much higher the share of slow answers may be: 0.02."),
    limit_ms: float = typer.Option(0.0, help="From when on an answer is slow; by default the incumbent's 99th of 100."),
    outcome: str = typer.Option("", help="A metric of outcomes: error, squared_error, log_loss, outcome, amount ..."),
    effect: float = typer.Option(0.0, help="The smallest difference of outcomes that matters, or their margin."),
    no_worse: bool = typer.Option(False, "--no-worse", help="Outcomes must be no worse, instead of better."),
    baseline: float = typer.Option(0.0, help="Of error and outcome: the incumbent's mean, as far as it is known."),
    sd: float = typer.Option(0.0, help="Of all other metrics: about their standard deviation."),
    higher_is_better: bool = typer.Option(False, help="Of outcome and amount: more of it is better."),
    lateness_s: float = typer.Option(0.0, help="How long an outcome is awaited after its prediction."),
    step_s: float = typer.Option(0.0, help="How long a step takes at least."),
    step_requests: int = typer.Option(0, help="How many requests of the candidate a step takes at least."),
    longest_s: float = typer.Option(0.0, help="After how long it is rolled back if it is undecided; a day."),
    reason: str = typer.Option("", "--message", "-m"),
    as_json: bool = AsJson,
) -> None:
    """Begin to give a version the traffic.

    Example: `modelog release start flight-delay 1.1.0 --steps 10,50,100 --errors 0.01`
    """
    wanted: Dict[str, Any] = {
        "metric": outcome, "effect": effect, "criterion": "non_inferior" if no_worse else "superior",
        "baseline": baseline, "sd": sd, "higher_is_better": higher_is_better, "lateness_s": lateness_s,
    }  # fmt: skip
    with told(), modelog.connect() as client:
        if effect and not outcome:
            raise Invalid("--effect: needs --outcome, the metric that it is of")
        found = client.releases.start(
            deployment, version, pattern, steps=_shares(steps), alpha=alpha, error_margin=errors,
            latency_margin=latency, latency_limit_ms=limit_ms, outcome=wanted if outcome else None, step_s=step_s,
            step_requests=step_requests, longest_s=longest_s, reason=reason,
        )  # fmt: skip
        if as_json:
            show_json(found)
        else:
            say(f"Release {found.number}: {found.candidate} has {found.percent:g} % of the traffic of {deployment}.")


@app.command()
def show(
    deployment: str,
    release: int = typer.Option(0, "--number", "-n", help="Which one; by default the last."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """A release, and what is known of the candidate now."""
    with told(), modelog.connect() as client:
        found = client.releases.get(deployment, release, as_of=as_of)
        if as_json:
            show_json(found)
            return
        show_fields(dict(zip((name.lstrip("#") for name in COLUMNS), _row(found))))
        for line in _lines(found.evidence):
            say(line)


@app.command("list")
def list_releases(
    deployment: Optional[str] = typer.Argument(None), as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """Releases to a deployment, or all; the newest first."""
    with told(), modelog.connect() as client:
        found = client.releases.list(deployment, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(COLUMNS, [_row(each) for each in found], empty="nothing was released yet")


@app.command()
def looks(
    deployment: str,
    release: int = typer.Option(0, "--number", "-n", help="Which one; by default the last."),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """What was known when, and what followed from it."""
    with told(), modelog.connect() as client:
        found = client.releases.looks(deployment, release, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            columns = ["at", "what", "#step", "#of the old", "#of the new", "why"]
            show_table(columns, [_look(each) for each in found], empty="it was not looked at yet")


@app.command()
def stop(deployment: str, reason: str = typer.Option("", "--message", "-m")) -> None:
    """End the running release without a decision; the traffic stays as it is."""
    with told(), modelog.connect() as client:
        found = client.releases.stop(deployment, reason)
        say(f"Release {found.number} of {deployment} is {word(found.state, 'RELEASE_STATE_')}.")


def rollback(
    deployment: str,
    to: str = typer.Option("", help="An earlier version; by default the last one that had all of the traffic."),
    reason: str = typer.Option("", "--message", "-m"),
) -> None:
    """Give all of the traffic to an earlier version at once. A running release ends."""
    with told(), modelog.connect() as client:
        found = client.deployments.roll_back(deployment, to, reason)
        show_table(TRAFFIC_COLUMNS, [traffic_row(found)], empty="")


def traffic(
    deployment: str,
    shares: Optional[List[str]] = typer.Argument(None, help="version=percent ...; without any it is shown."),
    reason: str = typer.Option("", "--message", "-m"),
    as_of: Optional[str] = AsOf,
) -> None:
    """Who answers a deployment's requests, or who is to. Example: `modelog traffic flight-delay 1.0.0=90 1.1.0=10`"""
    with told(), modelog.connect() as client:
        if shares:
            wanted = {v: float(number(p, "shares")) for v, p in pairs(shares, "shares").items()}
            client.deployments.set_traffic(deployment, wanted, reason)
        found = client.deployments.get(deployment, as_of=as_of)
        rows = [[v.version, f"{v.percent:g} %", v.answered, v.model_digest[:12]] for v in found.variants]
        show_table(["version", "traffic", "#answered", "model"], rows, empty="")


def _shares(text: str) -> List[float]:
    return [float(number(part.strip(), "--steps")) for part in text.split(",")] if text else []


def _row(found: Release) -> List[Any]:
    pattern = word(found.plan.pattern, "RELEASE_PATTERN_") if found.plan else ""
    state = word(found.state, "RELEASE_STATE_").replace("_", " ")
    return [
        found.deployment, found.number, pattern.replace("_", "-"), found.incumbent, found.candidate, state, found.step,
        found.percent, found.reason,
    ]  # fmt: skip


def _lines(found: Optional[ReleaseEvidence]) -> List[str]:
    """The evidence, a line for each figure."""
    if found is None:
        return []
    lines = [
        f"{c.figure}: {c.candidate:.3%} against {c.incumbent:.3%}, difference {100 * c.difference:+.3f} points "
        f"({100 * c.low:+.3f} to {100 * c.high:+.3f}, margin {100 * c.margin:g}); p of harm {c.harm_p:.2g}, of no "
        f"safety {c.safety_p:.2g}"
        for c in found.compared
    ]
    if found.outcome is not None:
        o = found.outcome
        lines.append(
            f"{o.test}: {o.mean_candidate:.4g} of {o.events_candidate:,} against {o.mean_incumbent:.4g} of "
            f"{o.events_incumbent:,}, difference {o.estimate:+.4g}, p {o.p_value:.2g}"
        )
    if found.mirrored is not None:
        m = found.mirrored
        lines.append(f"shadow: {m.alike:,} of {m.compared:,} alike, {m.failed:,} failed, {m.dropped:,} not asked for")
    return lines


def _look(found: ReleaseLook) -> List[Any]:
    known = found.evidence
    sizes = [0, 0] if known is None else [c.requests if c else 0 for c in (known.incumbent, known.candidate)]
    what = found.event[len("Release") :].lower()
    return [found.at, what, known.step if known else 1, *sizes, found.reason]
