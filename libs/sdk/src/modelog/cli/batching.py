"""modelog batch: rows through a model, from here or as a job."""

from __future__ import annotations

import typer

import modelog
from modelog.api.batches import ROWS_AT_ONCE as JOB_ROWS_AT_ONCE
from modelog.api.batches import BatchProgress
from modelog.batch.deployed import ROWS_AT_ONCE, run_batch
from modelog.batch.rows import FAIL
from modelog.cli.output import errors, say, told
from modelog.errors import Invalid

MOST_ROWS = 10_000


def register(root: typer.Typer) -> None:
    """Add the command to the root."""
    root.command()(batch)


def batch(
    target: str = typer.Argument(..., help="DEPLOYMENT or DEPLOYMENT:VERSION; for a job MODEL:VERSION too."),
    source: str = typer.Argument(
        ...,
        metavar="INPUT",
        help="A CSV or Parquet file, a folder of them, NAME@VERSION of a dataset, s3://BUCKET/KEY, or - for none.",
    ),
    output: str = typer.Argument(
        ...,
        metavar="OUTPUT",
        help="A folder or s3://BUCKET/PREFIX for Parquet files; without --job a CSV or Parquet file too.",
    ),
    query: str = typer.Option("", help="A SELECT of DuckDB: the input is its table `input`, files are named in it."),
    rows_at_once: int = typer.Option(
        0, min=0, help=f"Rows of a part. [default: {ROWS_AT_ONCE}, which are one request; {JOB_ROWS_AT_ONCE} for a job]"
    ),
    on_error: str = typer.Option(FAIL, help="A row that cannot be answered: fail, or null and a column `error`."),
    job: bool = typer.Option(False, "--job", help="Run it as a job, where the training service is, without requests."),
    model: bool = typer.Option(False, "--model", help="The name is that of a model, not of a deployment."),
    cpus: float = typer.Option(1.0, help="CPUs of the job; with two or more, parts are made side by side on Ray Data."),
    wait: bool = typer.Option(True, help="Wait for the end of the job."),
) -> None:
    """Every row of an input with what a version answers: exactly one row out for each row in. Nothing of it is logged.

    The same command again goes on where it was broken off. Examples: `modelog batch flight-delay june.csv scored.csv`,
    `modelog batch flight-delay:1.0.0 flights@3 s3://scores/june --job --query "select * from input where month = 6"`
    """
    with told(), modelog.connect() as client:
        if job:
            _submit(client, target, source, output, query, rows_at_once, on_error, model, cpus, wait)
            return
        if model:
            raise Invalid("--model: a version without a deployment is loaded by a job; add --job")
        if rows_at_once > MOST_ROWS:
            raise Invalid(f"--rows-at-once: is {rows_at_once}; a request takes {MOST_ROWS} rows at most, a job more")
        name, _, version = target.partition(":")
        rows = run_batch(
            client, name, source, output, version=version, query=query, rows_at_once=rows_at_once or ROWS_AT_ONCE,
            on_error=on_error, progress=_tell,
        )  # fmt: skip
        say(f"{output}: {rows:,} rows")


def _submit(
    client: modelog.Client,
    target: str,
    source: str,
    output: str,
    query: str,
    rows_at_once: int,
    on_error: str,
    model: bool,
    cpus: float,
    wait: bool,
) -> None:
    name, version = client.batches.version_of(target, model=model)
    queued = client.batches.submit(
        name, version, source, output, query=query, rows_at_once=rows_at_once or JOB_ROWS_AT_ONCE, on_error=on_error,
        cpus=cpus,
    )  # fmt: skip
    say(f"Job {queued.id} runs {name} {version}.")
    if not wait:
        say(f"See `modelog job show {queued.id}`.")
        return

    def tell(progress: BatchProgress) -> None:
        _tell(progress.rows, progress.total, progress.rows_per_s)

    done = client.batches.wait(queued.id, progress=tell)
    batch = done.batch
    if batch is not None:
        left = f", {batch.errors:,} without a prediction" if batch.errors else ""
        say(f"{batch.output}: {batch.rows:,} rows{left}; SHA-256 {batch.output_digest}")


def _tell(rows: int, total: int, rows_per_s: float = 0.0) -> None:
    if errors.is_terminal:
        rate = f", {rows_per_s:,.0f} a second" if rows_per_s else ""
        errors.print(f"{rows:,} of {total:,} rows{rate}", end="\r")
