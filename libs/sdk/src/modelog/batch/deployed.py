"""A batch that a deployment answers, from the machine that asks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, List, Sequence, Union

from modelog.batch.bucket import S3
from modelog.batch.ledger import Batch
from modelog.batch.libraries import library
from modelog.batch.places import Folder, Place, place_of, settle
from modelog.batch.rows import FAIL
from modelog.batch.run import Progress, one_by_one, run
from modelog.batch.sources import check_named, open_table, statement_of
from modelog.batch.tables import CSV, ENDINGS
from modelog.client import Client
from modelog.errors import Invalid
from modelog.inference import predict

ROWS_AT_ONCE = 1000


class Deployed:
    """The port Scorer: asks a deployed version over the Open Inference Protocol, past the traffic."""

    def __init__(self, client: Client, deployment: str, version: str = "") -> None:
        """Raises Invalid when the deployment has several versions and none is named."""
        found = client.deployments.get(deployment)
        serving = [variant.version for variant in found.variants if variant.percent]
        if not version and len(serving) != 1:
            raise Invalid(
                f"{deployment} has the versions {', '.join(serving) or 'none'}; say which: {deployment}:VERSION"
            )
        self._client, self.deployment, self.version = client, deployment, version or serving[0]
        self.model = found.model
        inputs = found.signature.inputs if found.signature is not None else []
        outputs = found.signature.outputs if found.signature is not None else []
        self.features: List[str] = [column for spec in inputs for column in (spec.columns or [spec.name])]
        self.width = max(1, sum(_width(spec) for spec in outputs))

    def score(self, rows: Any) -> Sequence[Sequence[float]]:
        answers = predict(self._client, self.deployment, rows.to_dicts(), version=self.version)["outputs"]
        return list(zip(*answers))


def run_batch(
    client: Client,
    deployment: str,
    source: Union[str, Path],
    output: Union[str, Path],
    *,
    version: str = "",
    query: str = "",
    rows_at_once: int = ROWS_AT_ONCE,
    on_error: str = FAIL,
    progress: Progress = lambda _done, _of: None,
) -> int:
    """Write the rows of `source` to `output`, each with the outputs and the version that gave them; returns how many.

    source: a CSV or Parquet file, a folder of them, "NAME@VERSION" of a stored dataset, "s3://bucket/key"; with a
    query of DuckDB those are its table `input`, and "-" is none. output: a CSV or Parquet file, or a folder or
    "s3://bucket/prefix" for Parquet files. It is not traffic: nothing of it is logged. Without a version the
    deployment must have one only. The same call again goes on where one was broken off.

    Raises Invalid, which names the row and the column, for a value that is no number; with on_error="null" such rows
    have no prediction, and a column `error`.
    """
    check_named(str(source), query)
    if query:
        statement_of(query)
    target = Output(str(output))
    scorer = Deployed(client, deployment, version)
    with tempfile.TemporaryDirectory(prefix="modelog-batch-") as folder:

        def dataset(name: str, number: int) -> Path:
            return client.datasets.download(name, number, Path(folder))

        table = open_table(str(source), Path(folder), dataset, query)
        batch = Batch(
            str(source), table.digest, scorer.model, scorer.version, table.rows, rows_at_once, query, "", on_error
        )
        ledger = run(batch, table, target.place, one_by_one(batch, table, target.place, scorer), progress)
        target.close()
    return ledger.rows


class Output:
    """A file that is put together from a folder of parts beside it, or a place that keeps them."""

    def __init__(self, address: str) -> None:
        self._file = None if address.startswith(S3) or not Path(address).suffix else Path(address)
        if self._file is None:
            self.place: Place = place_of(address)
            return
        if self._file.suffix not in ENDINGS:
            raise Invalid(f"output: {address} must end in {' or '.join(ENDINGS)}, be a folder or s3://BUCKET/PREFIX")
        self._parts = self._file.with_name(self._file.name + ".parts")
        if self._file.exists() and not self._parts.exists():
            raise Invalid(f"output: {address} exists already")
        self.place = Folder(self._parts)

    def close(self) -> None:
        """All parts are there."""
        if self._file is None:
            return
        draft = self._file.with_name(self._file.name + ".draft")
        rows = library("polars").scan_parquet(sorted(self._parts.glob("part-*.parquet")))
        (rows.sink_csv if self._file.suffix == CSV else rows.sink_parquet)(draft)
        settle(draft, self._file)
        shutil.rmtree(self._parts)


def _width(spec: Any) -> int:
    """How many numbers of a row an output has."""
    width = 1
    for size in spec.shape[1:]:
        width *= max(1, size)
    return len(spec.columns) or width
