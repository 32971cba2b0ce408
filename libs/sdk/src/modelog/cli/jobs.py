"""modelog job ..."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import typer

import modelog
from modelog.cli.output import AsJson, AsOf, number, pairs, say, show_fields, show_json, show_table, told, word
from modelog.errors import Invalid
from modelog.types import Batch, DatasetRef

app = typer.Typer(help="Training jobs.", no_args_is_help=True)


@app.command()
def submit(
    name: str,
    entry_point: str = typer.Argument(..., help="module:function in the source"),
    source: Path = typer.Option(Path("."), help="Folder of the Python source, sent along."),
    dataset: Optional[List[str]] = typer.Option(None, help="name=version; may be repeated."),
    param: Optional[List[str]] = typer.Option(None, "--param", "-p", help="name=value; may be repeated."),
    register: str = typer.Option("", help="Make what the job saves a version of this model."),
    follow: bool = typer.Option(False, help="Print the log and wait for the end."),
) -> None:
    """Queue a job. Example: `modelog job submit flight-delay flights.train:main --source src --dataset flights=1`"""
    with told(), modelog.connect() as client:
        refs = [
            DatasetRef(dataset=k, version=int(number(v, "--dataset"))) for k, v in pairs(dataset, "--dataset").items()
        ]
        parameters = {k: _value(v) for k, v in pairs(param, "--param").items()}
        job = client.jobs.submit(
            client.jobs.spec(name, entry_point, source=source, datasets=refs, parameters=parameters, register=register)
        )
        say(f"Job {job.id} is queued.")
        if follow:
            say(client.jobs.logs(job.id, follow=True))
            done = client.jobs.wait(job.id)
            say(f"Job {job.id} succeeded: {done.metrics}")


def _value(given: str) -> object:
    try:
        return number(given, "--param")
    except Invalid:
        return given


@app.command("list")
def list_jobs(
    limit: int = typer.Option(100, min=1, max=1000), as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """Jobs, newest first."""
    with told(), modelog.connect() as client:
        found = client.jobs.list(limit=limit, as_of=as_of)
        if as_json:
            show_json(found)
        else:
            rows = [
                [
                    j.id,
                    j.spec.get("name", ""),
                    word(j.status, "JOB_STATUS_"),
                    j.attempt,
                    j.registered_version,
                    j.submitted_at,
                ]
                for j in found
            ]
            show_table(["job", "name", "status", "#attempt", "version", "submitted"], rows, empty="no jobs yet")


@app.command()
def show(job_id: str, as_of: Optional[str] = AsOf, as_json: bool = AsJson) -> None:
    """One job."""
    with told(), modelog.connect() as client:
        job = client.jobs.get(job_id, as_of=as_of)
        if as_json:
            show_json(job)
        else:
            failed = [f"{c.dataset} {c.version} {c.column} {c.kind}: {c.detail}" for c in job.checks if not c.passed]
            show_fields(
                {
                    "job": job.id,
                    "status": word(job.status, "JOB_STATUS_"),
                    "author": job.author,
                    "run": job.run_id,
                    "checks": f"{sum(c.passed for c in job.checks)} of {len(job.checks)} passed",
                    "failed checks": failed,
                    "metrics": job.metrics,
                    "registered": job.registered_version,
                    "batch": _batch(job.batch),
                    "error": job.error,
                }
            )


def _batch(batch: Optional[Batch]) -> List[str]:
    """What it reads, what answers, and what it made."""
    if batch is None:
        return []
    made = f"SHA-256 {batch.output_digest}" if batch.output_digest else "not finished"
    return [
        f"{batch.rows:,} rows of {batch.source}, SHA-256 {batch.source_digest}",
        *([f"query: {batch.query}"] if batch.query else []),
        f"by {batch.model} {batch.version}, SHA-256 {batch.model_digest}",
        f"to {batch.output}: {made}" + (f", {batch.errors:,} without a prediction" if batch.errors else ""),
    ]


@app.command()
def logs(job_id: str, follow: bool = typer.Option(False, "--follow", "-f", help="Until the job ends.")) -> None:
    """What the job printed."""
    with told(), modelog.connect() as client:
        typer.echo(client.jobs.logs(job_id, follow=follow))


@app.command()
def cancel(job_id: str, reason: str = typer.Option("", help="Why.")) -> None:
    """Stop a job."""
    with told(), modelog.connect() as client:
        say(f"Job {job_id} is {word(client.jobs.cancel(job_id, reason).status, 'JOB_STATUS_')}.")
