"""Takes what the user's code logs: values into the journal, files into the blob store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from modelog.types import Signature, TensorSpec
from modelog_common.stores.blobs import CHUNK_BYTES, Blob, BlobStore

from modelog_training.work.journal import ArtifactLogged, BatchRecord, JournalWriter, ModelSaved, ParamsLogged, Tensor


class JournalSink:
    """The sink of a job's context in a worker."""

    def __init__(self, journal: JournalWriter, blobs: BlobStore) -> None:
        self._journal, self._blobs = journal, blobs

    def metric(self, name: str, value: float, step: int) -> None:
        self._journal.metric(name, value, step)

    def params(self, params: dict[str, Any]) -> None:
        self._journal.write(ParamsLogged(params))

    def artifact(self, file: Path, name: str) -> None:
        blob = self._store(file)
        self._journal.write(ArtifactLogged(name, blob.digest, blob.size_bytes))

    def model(self, file: Path, name: str, flavor: str, signature: Signature, metrics: dict[str, float] | None) -> None:
        blob = self._store(file)
        inputs, outputs = _tensors(signature.inputs), _tensors(signature.outputs)
        self._journal.write(ModelSaved(name, blob.digest, blob.size_bytes, flavor, inputs, outputs, metrics))

    def batch(self, record: BatchRecord) -> None:
        """How a batch began or ended: it becomes an event of the job."""
        self._journal.write(record)

    def progress(self, fraction: float, text: str) -> None:
        print(f"[{fraction:4.0%}] {text}")

    def _store(self, file: Path) -> Blob:
        # In a thread of its own: the user's code may itself run in an event loop, inside which no other one can run.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, self._blobs.put(_chunks(file))).result()


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def _tensors(tensors: list[TensorSpec]) -> tuple[Tensor, ...]:
    return tuple(Tensor(t.name, t.datatype, tuple(t.shape), tuple(t.columns), tuple(t.kinds)) for t in tensors)
