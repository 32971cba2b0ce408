"""A file of rows through a deployed version: one output row for each input row, and resumed where it was broken off.

The output is made of parts beside it, in a folder that is gone at the end. A part is there whole or not at all, so a
batch that was killed goes on with the first part that is missing.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from modelog.client import Client
from modelog.errors import Invalid
from modelog.inference import predict

ROWS_AT_ONCE = 1000
FORMATS = (".csv", ".parquet")
LEDGER = "batch.json"
VERSION_COLUMN = "model_version"
Row = Dict[str, Any]
Progress = Callable[[int], object]


def run_batch(
    client: Client,
    deployment: str,
    source: Path,
    output: Path,
    *,
    version: str = "",
    rows_at_once: int = ROWS_AT_ONCE,
    progress: Progress = lambda _rows: None,
) -> int:
    """Write the rows of `source` to `output`, each with the outputs and the version that gave them; returns how many.

    CSV and Parquet (with polars), by the names of the files. It is not traffic: nothing of it is logged. Without a
    version the deployment must have one only. The same call again goes on where one was broken off. Raises Invalid,
    which names the row and the column, for a value that is no number; nothing is left out for it.
    """
    for path in (source, output):
        if path.suffix not in FORMATS:
            raise Invalid(f"{path}: must end in {' or '.join(FORMATS)}")
    if not source.is_file():
        raise Invalid(f"{source}: there is no such file")
    parts = output.with_name(output.name + ".parts")
    if output.exists() and not parts.exists():
        raise Invalid(f"{output} exists already")
    names, answering = _asked(client, deployment, version)
    _begin(parts, {
        "source": _digest(source), "deployment": deployment, "version": answering, "rows_at_once": rows_at_once,
    })  # fmt: skip
    done = 0
    for number, rows in enumerate(_chunks(source, rows_at_once)):
        part = parts / f"{number:08d}{output.suffix}"
        if not part.exists():
            records = [_record(row, names, done + n) for n, row in enumerate(rows)]
            outputs = predict(client, deployment, records, version=answering)["outputs"]
            _write(part, [{**row, **_told(found, answering)} for row, found in zip(rows, outputs)])
        done += len(rows)
        progress(done)
    _join(sorted(parts.glob(f"*{output.suffix}")), output)
    shutil.rmtree(parts)
    return done


def _asked(client: Client, deployment: str, version: str) -> Tuple[List[str], str]:
    """The features that the deployment takes, and the version that answers."""
    found = client.deployments.get(deployment)
    serving = [variant.version for variant in found.variants if variant.percent]
    if not version and len(serving) != 1:
        raise Invalid(f"{deployment} has the versions {', '.join(serving) or 'none'}; say which: {deployment}:VERSION")
    specs = found.signature.inputs if found.signature is not None else []
    return [column for spec in specs for column in (spec.columns or [spec.name])], version or serving[0]


def _begin(parts: Path, batch: Mapping[str, Any]) -> None:
    """Make the folder, or make sure that what is in it belongs to this very batch."""
    ledger = parts / LEDGER
    if ledger.exists():
        before = json.loads(ledger.read_text())
        for name, value in batch.items():
            if before.get(name) != value:
                raise Invalid(
                    f"{parts} is of a batch with another {name} ({before.get(name)}, now {value}); "
                    "finish that one, or delete the folder"
                )
        return
    parts.mkdir(exist_ok=True)
    _put(ledger, json.dumps(dict(batch)).encode())


def _chunks(source: Path, rows_at_once: int) -> Iterator[List[Row]]:
    if source.suffix == ".parquet":
        frame = _polars().scan_parquet(source)
        start, rows = 0, frame.slice(0, rows_at_once).collect().to_dicts()
        while rows:
            yield rows
            start += len(rows)
            rows = frame.slice(start, rows_at_once).collect().to_dicts()
        return
    with source.open(newline="", encoding="utf-8") as lines:
        chunk: List[Row] = []
        for row in csv.DictReader(lines):
            chunk.append(row)
            if len(chunk) == rows_at_once:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def _record(row: Row, names: Sequence[str], number: int) -> Dict[str, Optional[float]]:
    """The features of a row; an empty cell is a missing value."""
    record: Dict[str, Optional[float]] = {}
    for name in names:
        if name not in row:
            raise Invalid(f"row {number}: has no column {name!r}; the model takes {', '.join(names)}")
        try:
            record[name] = None if row[name] in (None, "") else float(row[name])
        except (TypeError, ValueError):
            raise Invalid(f"row {number}, column {name!r}: {row[name]!r} is no number") from None
    return record


def _told(outputs: Sequence[float], version: str) -> Row:
    names = ["prediction"] if len(outputs) == 1 else [f"prediction_{n}" for n in range(len(outputs))]
    return {**dict(zip(names, outputs)), VERSION_COLUMN: version}


def _write(part: Path, rows: Sequence[Row]) -> None:
    draft = part.with_suffix(".draft")
    if part.suffix == ".parquet":
        _polars().DataFrame(list(rows), infer_schema_length=None).write_parquet(draft)
    else:
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    _settle(draft, part)


def _join(parts: Sequence[Path], output: Path) -> None:
    draft = output.with_name(output.name + ".draft")
    if output.suffix == ".parquet":
        polars = _polars()
        polars.concat([polars.read_parquet(part) for part in parts], how="vertical_relaxed").write_parquet(draft)
    else:
        with draft.open("wb") as whole:
            for number, part in enumerate(parts):
                with part.open("rb") as file:
                    head = file.readline()
                    whole.write(head if number == 0 else b"")
                    shutil.copyfileobj(file, whole)
    _settle(draft, output)


def _put(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    _settle(draft, path)


def _settle(draft: Path, path: Path) -> None:
    """From now on it is there, also after a power failure."""
    for each in (draft, path.parent):
        file = os.open(each, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        if each == draft:
            draft.replace(path)


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def _polars() -> Any:
    try:
        return importlib.import_module("polars")
    except ImportError:
        raise Invalid("Parquet needs polars: pip install polars; CSV needs nothing") from None
