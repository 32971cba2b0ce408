"""modelog deploy ..., and modelog predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Mapping, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, number, pairs, say, show_fields, show_json, show_table, told, word
from modelog.errors import Invalid
from modelog.inference import predict as ask
from modelog.types import Deployment

app = typer.Typer(help="Deployments and their traffic.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add `modelog predict` to the root."""
    root.command()(predict)


def row(d: Deployment) -> List[Any]:
    """A deployment as the lists show it."""
    split = {v.version: f"{v.percent:g} %" for v in d.variants if v.percent}
    return [
        d.name,
        d.model,
        word(d.environment, "DEPLOYMENT_ENVIRONMENT_"),
        word(d.status, "DEPLOYMENT_STATUS_"),
        split,
    ]


COLUMNS = ["deployment", "model", "environment", "status", "traffic"]


@app.command("list")
def list_deployments(as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """All deployments."""
    with told(), modelog.connect() as client:
        found = client.deployments.list(as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(COLUMNS, [row(d) for d in found], empty="nothing is deployed yet")


@app.command()
def create(
    name: str,
    model: str,
    version: str,
    environment: str = typer.Option("production", help="dev, staging or production"),
) -> None:
    """Serve a version. Example: `modelog deploy create flight-delay flight-delay 1.0.0`"""
    with told(), modelog.connect() as client:
        found = client.deployments.create(name, model, version, environment)
        say(f"{name} serves {model} {version} ({word(found.status, 'DEPLOYMENT_STATUS_')}).")


@app.command()
def traffic(
    name: str, shares: List[str] = typer.Argument(..., help="version=percent ..."), reason: str = typer.Option("")
) -> None:
    """Split the traffic. Example: `modelog deploy traffic flight-delay 1.0.0=90 1.1.0=10`"""
    with told(), modelog.connect() as client:
        wanted = {v: float(number(p, "shares")) for v, p in pairs(shares, "shares").items()}
        found = client.deployments.set_traffic(name, wanted, reason)
        show_table(COLUMNS, [row(found)], empty="")


@app.command()
def show(name: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One deployment."""
    with told(), modelog.connect() as client:
        found = client.deployments.get(name, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_table(COLUMNS, [row(found)], empty="")


@app.command()
def scale(
    name: str,
    min_replicas: int = typer.Option(1, "--min", help="at least so many replicas"),
    max_replicas: Optional[int] = typer.Option(None, "--max", help="at most so many; by default as many as --min"),
    concurrency: float = typer.Option(0.0, help="requests under way that each replica should have"),
    latency_ms: float = typer.Option(0.0, help="in this time 95 % of the answers should be given"),
    up_cooldown_s: int = typer.Option(0, help="for so long more replicas must have been wanted"),
    down_cooldown_s: int = typer.Option(300, help="for so long fewer replicas must have been wanted"),
    to_zero: bool = typer.Option(False, "--to-zero", help="keep none after --idle-s without a request"),
    idle_s: int = typer.Option(300),
    reason: str = typer.Option(""),
) -> None:
    """How many replicas it may have. Example: `modelog deploy scale flight-delay --min 1 --max 8 --concurrency 4`"""
    with told(), modelog.connect() as client:
        found = client.deployments.set_scaling(
            name,
            min_replicas=min_replicas,
            max_replicas=min_replicas if max_replicas is None else max_replicas,
            target_concurrency=concurrency,
            target_latency_ms=latency_ms,
            up_cooldown_s=up_cooldown_s,
            down_cooldown_s=down_cooldown_s,
            scale_to_zero=to_zero,
            idle_s=idle_s,
            reason=reason,
        )
        if found.scaling:
            say(f"{name} may have {found.scaling.min_replicas} to {found.scaling.max_replicas} replicas.")


@app.command()
def cache(
    name: str,
    ttl_s: int = typer.Option(..., help="for so many seconds an answer is given again; 0 for no cache"),
    max_bytes: int = typer.Option(0, help="what answers kept in a process take at most; 0 for 64 MiB"),
    reason: str = typer.Option(""),
) -> None:
    """Give answers again to the same rows. Example: `modelog deploy cache flight-delay --ttl-s 60`"""
    with told(), modelog.connect() as client:
        found = client.deployments.set_caching(name, ttl_s, max_bytes=max_bytes, reason=reason)
        kept = f"gives an answer again for {found.caching.ttl_s} s" if found.caching else "computes every answer"
        say(f"{name} {kept}.")


@app.command()
def status(name: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """Where a deployment's replicas run, how many are ready, what keeps the others, and what its cache answered."""
    with told(), modelog.connect() as client:
        found = client.deployments.get(name, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            seen, scaling, caching = found.replicas, found.scaling, found.caching
            ready = f"{seen.ready} of {seen.wanted}, in {seen.backend}" if seen else "in the serving process"
            bounds = f"{scaling.min_replicas} to {scaling.max_replicas}" if scaling else "not set"
            state = word(found.status, "DEPLOYMENT_STATUS_")
            problems = "; ".join(seen.problems) if seen else ""
            cached = f"{caching.ttl_s} s, {caching.hits} hits, {caching.misses} misses" if caching else "off"
            told_of = {"status": state, "replicas": ready, "scaling": bounds, "cache": cached}
            show_fields(told_of | {"problems": problems or found.error})


@app.command()
def export(
    name: str,
    format: str = typer.Option("kubernetes", help="kubernetes or kserve"),
    as_of: Optional[str] = AsOf,
) -> None:
    """Print it as YAML. Example: `modelog deploy export flight-delay --format kserve | kubectl apply -f -`"""
    with told(), modelog.connect() as client:
        if format not in ("kubernetes", "kserve"):
            raise Invalid(f"--format: {format} is not known; it is kubernetes or kserve")
        typer.echo(client.deployments.export(name, format, as_of=as_of), nl=False)


@app.command()
def stop(name: str, reason: str = typer.Option("")) -> None:
    """End a deployment."""
    with told(), modelog.connect() as client:
        client.deployments.stop(name, reason)
        say(f"{name} is stopped.")


@app.command()
def prediction(name: str, prediction_id: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One answered request from the prediction log."""
    with told(), modelog.connect() as client:
        found = client.deployments.prediction(name, prediction_id, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            show_fields(found.to_dict())


def predict(
    deployment: str,
    feature: Optional[List[str]] = typer.Option(None, "--feature", "-f", help="name=number; may be repeated."),
    file: Optional[Path] = typer.Option(None, help="A JSON file with a list of records by feature name."),
    version: str = typer.Option("", help="Ask this version, past the traffic split."),
    explain: bool = typer.Option(False, "--explain", help="Tell what each feature contributed, too."),
    samples: int = typer.Option(0, help="For models that are not trees: from how many orders of the features."),
    as_json: bool = AsJson,
) -> None:
    """Ask a deployment (Open Inference Protocol). Example: `modelog predict flight-delay --file flights.json`"""
    with told(), modelog.connect() as client:
        answer = ask(client, deployment, _records(feature, file), version=version, explain=explain, samples=samples)
        if as_json:
            show_json(answer)
        else:
            rows = [[i, *outputs] for i, outputs in zip(answer["prediction_ids"], answer["outputs"])]
            say(f"{deployment} {answer['version']}")
            show_table(["prediction", "output"], rows, empty="no answer")
            if explain:
                _show_explanation(answer["explanation"])


def _show_explanation(found: Mapping[str, Any]) -> None:
    """A row for each record's output: its base, and what each feature contributed."""
    say(f"{found['method']}: the base and the contributions add up to the {found['of']}")
    names = list(found["contributions"])
    rows = [
        [record, output, base, *(found["contributions"][name][record][output] for name in names)]
        for record, bases in enumerate(found["base"])
        for output, base in enumerate(bases)
    ]
    show_table(["record", "output", "base", *names], rows, empty="no answer")


def _records(feature: Optional[List[str]], file: Optional[Path]) -> List[Any]:
    if file is None:
        return [{k: float(number(v, f"--feature {k}")) for k, v in pairs(feature, "--feature").items()}]
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise Invalid(f"--file: {file} cannot be read as JSON: {error}") from None
    return found if isinstance(found, list) else [found]
