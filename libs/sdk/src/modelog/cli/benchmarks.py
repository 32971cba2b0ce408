"""modelog model benchmark and benchmarks, and the last benchmarks beside a comparison."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import typer

import modelog
from modelog.api.benchmarks import AGAINST, DATASET, VERSION
from modelog.cli.output import AsJson, AsOf, number, say, show_json, show_table, text, told
from modelog.errors import Invalid
from modelog.types import DatasetRef

# In this order, as far as they were measured; the others by name.
FIRST = ("auc", "log_loss", "brier", "accuracy", "size_bytes", "memory_bytes", "load_s")
ENDS = ("_lower", "_upper", "_p")


def register(models: typer.Typer) -> None:
    models.command()(benchmark)
    models.command()(benchmarks)


def benchmark(
    model: str,
    version: str,
    dataset: str = typer.Option(..., help="name:version of a stored dataset."),
    against: str = typer.Option("", help="Another version, measured in turns with it on the same rows."),
    label: str = typer.Option("label", help="The column that holds 0 or 1."),
    batch: Optional[List[int]] = typer.Option(None, help="Rows of a batch; may be repeated. [default: 1, 32, 256]"),
    seconds: float = typer.Option(2.0, help="How long each size of batch is measured."),
    wait: bool = typer.Option(True, help="Wait for the figures."),
    as_json: bool = AsJson,
) -> None:
    """Predict a stored dataset version with a stored model, and keep quality, latency, throughput, size and memory.

    Example: `modelog model benchmark flight-delay 1.1.0 --dataset flights:3 --against 1.0.0`
    """
    with told(), modelog.connect() as client:
        job = client.benchmarks.submit(
            model, version, _dataset(dataset), label=label, against=against, batch_sizes=batch or (1, 32, 256),
            seconds=seconds,
        )  # fmt: skip
        if not wait:
            say(f"Job {job.id} is queued; see `modelog model benchmarks {model}`.")
            return
        done = client.jobs.wait(job.id)
        if as_json:
            show_json(done)
            return
        prefixes = {"": version, **({"against/": against, "difference/": "difference"} if against else {})}
        columns = {name: _part(done.metrics, prefix) for prefix, name in prefixes.items()}
        _show(columns)
        say(f"Run {done.run_id}.")


def benchmarks(
    model: str, version: Optional[str] = typer.Argument(None), as_of: Optional[str] = AsOf, as_json: bool = AsJson
) -> None:
    """What was measured of a model's versions, newest first."""
    with told(), modelog.connect() as client:
        found = client.benchmarks.list(model, version, as_of=as_of)
        if as_json:
            show_json(found)
            return
        names = ["auc", "log_loss", "latency_p50_ms/1", "latency_p99_ms/1", "memory_bytes"]
        rows = [
            [
                r.tags.get(VERSION),
                r.tags.get(DATASET),
                r.tags.get(AGAINST),
                *map(r.metrics.get, names),
                r.started_at,
                r.id,
            ]
            for r in found
        ]
        columns = [
            "version",
            "dataset",
            "against",
            "#AUC",
            "#log loss",
            "#p50 ms, 1 row",
            "#p99 ms",
            "#memory",
            "at",
            "run",
        ]
        show_table(columns, rows, empty="nothing was measured yet")


def show_last(client: modelog.Client, versions: Sequence[str], as_of: Optional[str]) -> None:
    """The last benchmark of each of some "model/version", a column for each that has one."""
    columns: Dict[str, Dict[str, float]] = {}
    datasets = []
    for each in versions:
        model, _, version = each.rpartition("/")
        last = client.benchmarks.last(model, [version], as_of=as_of).get(version)
        if last is not None:
            columns[each] = _part(last.metrics, "")
            datasets.append(f"{each}: {last.tags.get(DATASET)}, {text(last.started_at)}")
    if columns:
        _show(columns)
        say("Last benchmarks of " + "; ".join(datasets))


def _show(columns: Dict[str, Dict[str, float]]) -> None:
    names = {name for figures in columns.values() for name in figures if not name.endswith(ENDS)}
    ordered = [name for name in FIRST if name in names] + sorted(names - set(FIRST), key=_by_size)
    rows: List[List[Any]] = [[name, *(_told(figures, name) for figures in columns.values())] for name in ordered]
    show_table(["benchmark", *columns], rows, empty="")


def _told(figures: Dict[str, float], name: str) -> str:
    """A figure with its interval."""
    if name not in figures:
        return ""
    low, high = figures.get(f"{name}_lower"), figures.get(f"{name}_upper")
    interval = "" if low is None or high is None else f" ({text(low)} to {text(high)})"
    return text(figures[name]) + interval


def _by_size(name: str) -> Any:
    what, _, size = name.partition("/")
    return what, int(size) if size.isdigit() else 0


def _part(metrics: Dict[str, float], prefix: str) -> Dict[str, float]:
    """The figures of one of the versions."""
    if prefix:
        return {name[len(prefix) :]: value for name, value in metrics.items() if name.startswith(prefix)}
    return {name: value for name, value in metrics.items() if not name.startswith(("against/", "difference/"))}


def _dataset(named: str) -> DatasetRef:
    name, colon, version = named.rpartition(":")
    if not colon or not name:
        raise Invalid(f"--dataset: {named!r} must look like name:version, such as flights:3")
    return DatasetRef(dataset=name, version=int(number(version, "--dataset")))
