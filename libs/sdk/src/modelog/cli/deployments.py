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
from modelog.types.serving import Breaker, Resilience, Retries

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
    gpus: int = typer.Option(0, help="GPUs for each replica, in Kubernetes"),
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
            gpus=gpus,
            reason=reason,
        )
        if found.scaling:
            each = f", each with {found.scaling.gpus} GPUs" if found.scaling.gpus else ""
            say(f"{name} may have {found.scaling.min_replicas} to {found.scaling.max_replicas} replicas{each}.")


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
def resilience(
    name: str,
    breaker: bool = typer.Option(False, "--breaker", help="ask a version no more for a while when too much fails"),
    failure_share: float = typer.Option(0.5, help="so much of 1 must fail"),
    window_s: int = typer.Option(30, help="of the requests of so many seconds"),
    min_requests: int = typer.Option(20, help="and of at least so many"),
    open_s: int = typer.Option(30, help="for so long the version is not asked"),
    probes: int = typer.Option(3, help="then so many requests try it, and all must be answered"),
    attempts: int = typer.Option(1, help="try a request so often where its failure may pass"),
    retry_budget: float = typer.Option(0.2, help="retries are at most this share, of 1, of ten seconds' requests"),
    retry_least: int = typer.Option(3, help="so many retries in ten seconds are allowed in any case"),
    timeout_ms: int = typer.Option(0, help="an attempt that takes longer has failed; 0 for any time"),
    fallback_version: str = typer.Option("", help="this version answers instead"),
    default: Optional[List[str]] = typer.Option(None, help="output=number,...: what is answered when no version does"),
    off: bool = typer.Option(False, "--off", help="do nothing of this any more"),
    reason: str = typer.Option(""),
) -> None:
    """What is done when a version fails. Example:
    `modelog deploy resilience flight-delay --breaker --attempts 2 --fallback-version 1.0.0`"""
    with told(), modelog.connect() as client:
        answer = {
            output: [float(number(value, f"--default {output}")) for value in values.split(",")]
            for output, values in pairs(default, "--default").items()
        }
        if off and (breaker or attempts > 1 or timeout_ms or fallback_version or answer):
            raise Invalid("--off: is given with what would be on; leave one of them out")
        if not off and not (breaker or attempts != 1 or timeout_ms or fallback_version or answer):
            raise Invalid("give --breaker, --attempts, --timeout-ms, --fallback-version or --default; or --off")
        found = client.deployments.set_resilience(
            name,
            breaker=Breaker(failure_share, window_s, min_requests, open_s, probes) if breaker else None,
            retries=Retries(attempts, retry_budget, retry_least) if attempts != 1 else None,
            timeout_ms=timeout_ms,
            fallback_version=fallback_version,
            default_answer=answer,
            reason=reason,
        )
        say(f"When a version of {name} fails: {_resilience(found.resilience)}.")


def _resilience(found: Optional[Resilience]) -> str:
    """In words."""
    if found is None:
        return "its error is the answer"
    b, r, f = found.breaker, found.retries, found.fallback
    share = f"{b.failure_share * 100:g} % of {b.min_requests} or more requests in {b.window_s} s" if b else ""
    parts = [
        f"a breaker opens for {b.open_s} s at {share}" if b else "",
        f"{r.attempts} attempts, retries at most {r.budget * 100:g} % or {r.least} in 10 s" if r else "",
        f"{found.timeout_ms} ms for an attempt" if found.timeout_ms else "",
        f"version {f.version} answers instead" if f and f.version else "",
        "a default answer" if f and f.outputs else "",
    ]
    return ", ".join(filter(None, parts))


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
            if found.resilience:
                told_of["when a version fails"] = _resilience(found.resilience)
                told_of["retries, fallbacks"] = f"{found.resilience.retried}, {found.resilience.fallbacks}"
            for seen_now in found.resilience.breakers if found.resilience else []:
                where = f" in worker {seen_now.worker}" if seen_now.worker else ""
                told_of[f"breaker of {seen_now.version}{where}"] = word(seen_now.state, "BREAKER_STATE_")
            show_fields(told_of | {"problems": problems or found.error})


@app.command()
def latencies(
    name: str,
    minutes: int = typer.Option(60, help="of so many minutes before the moment"),
    as_of: Optional[str] = AsOf,
    as_json: bool = AsJson,
) -> None:
    """How long answers took, by version, and how many requests had none."""
    with told(), modelog.connect() as client:
        found = client.deployments.latencies(name, minutes=minutes, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [
                [v.version, when, v.answered, v.errors, f"{v.p50_ms:.3g}", f"{v.p99_ms:.3g}"]
                for when, versions in ((f"last {found.minutes} minutes", found.versions), ("not told yet", found.open))
                for v in versions
            ]
            show_table(["version", "of", "answered", "errors", "p50 ms", "p99 ms"], rows, empty="nothing was answered")


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
    text: Optional[List[str]] = typer.Option(None, "--text", "-t", help="name=text; may be repeated."),
    file: Optional[Path] = typer.Option(None, help="A JSON file with a list of records by feature name."),
    version: str = typer.Option("", help="Ask this version, past the traffic split."),
    explain: bool = typer.Option(False, "--explain", help="Tell what each feature contributed, too."),
    samples: int = typer.Option(0, help="For models that are not trees: from how many orders of the features."),
    subject: str = typer.Option("", help="Whom the texts are about: they are logged sealed, and can be erased."),
    as_json: bool = AsJson,
) -> None:
    """Ask a deployment (Open Inference Protocol). Example: `modelog predict flight-delay --file flights.json`"""
    with told(), modelog.connect() as client:
        answer = ask(
            client,
            deployment,
            _records(feature, text, file),
            version=version,
            explain=explain,
            samples=samples,
            subject=subject,
        )
        if as_json:
            show_json(answer)
        else:
            rows = [[i, *outputs] for i, outputs in zip(answer["prediction_ids"], answer["outputs"])]
            instead = f" instead of {answer['instead_of']} ({answer['fallback']})" if answer["fallback"] else ""
            say(f"{deployment} {answer['version']}{instead}")
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


def _records(feature: Optional[List[str]], text: Optional[List[str]], file: Optional[Path]) -> List[Any]:
    if file is None:
        numbers = {k: float(number(v, f"--feature {k}")) for k, v in pairs(feature, "--feature").items()}
        return [{**numbers, **pairs(text, "--text")}]
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise Invalid(f"--file: {file} cannot be read as JSON: {error}") from None
    return found if isinstance(found, list) else [found]
