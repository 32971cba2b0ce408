"""The journal of an attempt: what the user's code logs, one JSON line each, written by the worker, read by the service.

A file rather than calls: what was logged before a worker died is still there, and a busy worker is never asked.
"""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from modelog_training.job.events import DatasetRef, Number, stored_number

JOURNAL = "journal.jsonl"
READ_BYTES = 1 << 20


class Tensor(msgspec.Struct, frozen=True):
    """One input or output of a model."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class MetricLogged(msgspec.Struct, frozen=True, tag="metric"):
    name: str
    value: Number
    step: int
    at: datetime

    @property
    def number(self) -> float:
        return float(self.value)


class ParamsLogged(msgspec.Struct, frozen=True, tag="params"):
    params: dict[str, Any]


class ArtifactLogged(msgspec.Struct, frozen=True, tag="artifact"):
    path: str
    digest: str
    size_bytes: int


class ModelSaved(msgspec.Struct, frozen=True, tag="model"):
    """`metrics` None stands for the last values of the job's metrics."""

    path: str
    digest: str
    size_bytes: int
    flavor: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metrics: dict[str, float] | None


class BatchBegan(msgspec.Struct, frozen=True, tag="batch_began"):
    """The fields are those of the event BatchStarted."""

    source: str
    query: str
    source_digest: str
    dataset: DatasetRef | None
    model: str
    version: str
    model_digest: str
    rows: int
    output: str


class BatchEnded(msgspec.Struct, frozen=True, tag="batch_ended"):
    rows: int
    errors: int
    output_digest: str


BatchRecord = BatchBegan | BatchEnded
Record = MetricLogged | ParamsLogged | ArtifactLogged | ModelSaved | BatchRecord
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class JournalWriter:
    """Appends records; each is in the file when `write` returns. Threads may share it."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = Lock()

    def write(self, record: Record) -> None:
        line = _encoder.encode(record) + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]

    def metric(self, name: str, value: float, step: int) -> None:
        self.write(MetricLogged(name, stored_number(value), step, datetime.now(UTC)))

    def close(self) -> None:
        os.close(self._descriptor)


class JournalReader:
    """Reads whole lines from where it stopped."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0

    def read(self) -> list[Record]:
        """What came since, at most about 1 MiB of it; none when there is nothing new."""
        try:
            with self._file.open("rb") as source:
                source.seek(self._offset)
                chunk = source.read(READ_BYTES)
                if b"\n" not in chunk and len(chunk) == READ_BYTES:
                    chunk += source.readline()
        except FileNotFoundError:
            return []
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [_decoder.decode(line) for line in whole.splitlines()]


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are finite numbers."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
