"""The entry point of a batch: every row of an input goes through a stored version, and is written with the answer.

It runs in a worker as any job's code does. How it begins and ends become events of its job; how far it is, metrics of
the job's run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from modelog.api.batches import DONE, RATE, TOTAL
from modelog.batch.ledger import Batch, Ledger
from modelog.batch.places import place_of
from modelog.batch.rows import FAIL, check_columns
from modelog.batch.run import one_by_one, run
from modelog.batch.sources import dataset_of, open_table
from modelog.batch.tables import Table
from modelog.training import Context, StoredModel

from modelog_training.batch.scorer import stored
from modelog_training.batch.spread import can_spread, side_by_side
from modelog_training.job.events import DatasetRef
from modelog_training.work.journal import BatchBegan, BatchEnded, BatchRecord
from modelog_training.work.sink import JournalSink

TELL_S = 1.0


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a batch's job, as the SDK's `client.batches.submit` describes them."""

    source: str
    output: str
    query: str = ""
    rows_at_once: int = 50_000
    on_error: str = FAIL


def main(context: Context) -> None:
    """The job names one model, and the dataset where the source is one."""
    asked = asked_for(context.params)
    if len(context.models) != 1:
        raise ValueError(f"spec.models: a batch takes one model version, not {len(context.models)}")
    model = context.models[0]
    with TemporaryDirectory(prefix="batch-", dir=Path.cwd()) as folder:
        table = open_table(asked.source, Path(folder), lambda name, version: _data(context, name, version), asked.query)
        print(f"{table.title}: {table.rows} rows, SHA-256 {table.digest}")
        batch = Batch(
            asked.source, table.digest, model.model, model.version, table.rows, asked.rows_at_once, asked.query,
            model.digest, asked.on_error,
        )  # fmt: skip
        ledger = predicted(context, asked, model, table, batch)
        _tell(context, BatchEnded(ledger.rows, ledger.errors, ledger.digest))


def predicted(context: Context, asked: Asked, model: StoredModel, table: Table, batch: Batch) -> Ledger:
    """All parts of the output, in this process or side by side."""
    place, loadable = place_of(asked.output), stored(model, max(1, int(context.cpus)))
    workers = int(context.cpus) if can_spread(context.cpus, batch.parts) else 1
    if workers > 1:
        loadable = msgspec.structs.replace(loadable, threads=1)
    scorer = loadable.open()
    check_columns(table, scorer, asked.on_error)
    _tell(context, _began(asked, batch))
    make = one_by_one(batch, table, place, scorer)
    if workers > 1:
        print(f"{batch.parts} parts side by side on Ray Data, in {workers} processes")
        make = side_by_side(loadable, table, place, batch, workers)
    return run(batch, table, place, make, Teller(context))


def asked_for(parameters: Mapping[str, Any]) -> Asked:
    """Checked parameters; ValueError names the one that is wrong."""
    try:
        asked = msgspec.convert(dict(parameters), Asked)
    except msgspec.ValidationError as error:
        raise ValueError(f"spec.parameters: {error}") from None
    if asked.rows_at_once < 1:
        raise ValueError(f"spec.parameters.rows_at_once: is {asked.rows_at_once}; allowed: 1 or more")
    return asked


class Teller:
    """Tells how far a batch is, once a second and at the ends."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._began, self._first = time.monotonic(), -1
        self._last = -TELL_S

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic() - self._began
        if self._first < 0:
            self._first = done
        if done < total and now - self._last < TELL_S:
            return
        self._last = now
        rate = (done - self._first) / now if now > 0 else 0.0
        step = int(now * 1000)
        self._context.log_metrics({DONE: done, TOTAL: total, RATE: rate}, step)
        again = f", {self._first} of them before" if self._first else ""
        text = f"{done} of {total} rows{again}, {rate:.0f} a second"
        self._context.progress(done / total if total else 1.0, text)


def _began(asked: Asked, batch: Batch) -> BatchBegan:
    named = dataset_of(asked.source)
    dataset = DatasetRef(*named) if named is not None else None
    return BatchBegan(
        asked.source, asked.query, batch.source_digest, dataset, batch.model, batch.version, batch.model_digest,
        batch.rows, asked.output,
    )  # fmt: skip


def _data(context: Context, name: str, version: int) -> Path:
    for file in context.datasets.get(name, ()):
        if file.stem == str(version):
            return file.resolve()
    raise ValueError(f"spec.datasets: {name} {version} is not among the datasets of the job, which its source names")


def _tell(context: Context, record: BatchRecord) -> None:
    if isinstance(context.sink, JournalSink):
        context.sink.batch(record)
