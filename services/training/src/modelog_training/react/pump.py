"""Carries what the user's code logs from the attempt's journal to its run in the registry, in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from modelog_proto.registry.v1 import experiment_pb2, model_pb2

from modelog_training.handle.files import Files
from modelog_training.registry import Registry
from modelog_training.work.journal import (
    JOURNAL,
    ArtifactLogged,
    BatchBegan,
    BatchEnded,
    BatchRecord,
    JournalReader,
    MetricLogged,
    ModelSaved,
    ParamsLogged,
    Record,
)

T = TypeVar("T")
LOOK_S = 0.5
# The contract takes 1,000 metrics and as many artifacts in one call.
BATCH = 1000


class Waiting(Protocol):
    """How a call is repeated while nobody answers it."""

    async def __call__(self, call: Callable[[], Awaitable[T]], /) -> T: ...


class Pump:
    """One attempt's. `metrics` holds last values by name (of the highest step), `model` what was saved last.

    What is said of a batch is no matter of the run: `tell` gets it.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        registry: Registry,
        files: Files,
        request_id: Callable[..., str],
        tell: Callable[[BatchRecord], Awaitable[None]],
    ) -> None:
        self._journal = JournalReader(folder / JOURNAL)
        self._run_id, self._registry, self._files, self._request_id = run_id, registry, files, request_id
        self._last: dict[str, MetricLogged] = {}
        self._waiting: list[Record] = []
        self._tell = tell
        self._told: list[BatchRecord] = []
        self._batch: experiment_pb2.LogRunRequest | None = None
        self._sent = 0
        self.model: ModelSaved | None = None

    @property
    def metrics(self) -> dict[str, float]:
        return {name: record.number for name, record in self._last.items()}

    async def run(self, waiting: Waiting) -> None:
        """Until cancelled."""
        while True:
            await self.drain(waiting)
            await asyncio.sleep(LOOK_S)

    async def drain(self, waiting: Waiting) -> None:
        """Send everything that is in the journal now."""
        while self._fill():
            while self._told:
                await self._tell(self._told[0])
                del self._told[0]
            if self._batch is None and not self._waiting:
                continue
            batch = self._batch = self._batch or self._next_batch()
            for artifact in batch.artifacts:
                await waiting(lambda digest=artifact.digest: self._files.publish(digest))  # type: ignore[misc]
            await waiting(lambda sent=batch: self._registry.log_run(sent))  # type: ignore[misc]
            self._batch = None
            self._sent += 1

    def _fill(self) -> bool:
        """Whether there is something to send. A batch that was not acknowledged goes first, and as it was."""
        if self._batch is None and not self._waiting:
            for record in self._journal.read():
                if isinstance(record, BatchBegan | BatchEnded):
                    self._told.append(record)
                else:
                    self._waiting.append(record)
                    self._remember(record)
        return self._batch is not None or bool(self._waiting) or bool(self._told)

    def _remember(self, record: Record) -> None:
        match record:
            case MetricLogged(name=name, step=step):
                if name not in self._last or step >= self._last[name].step:
                    self._last[name] = record
            case ModelSaved():
                self.model = record
            case _:
                pass

    def _next_batch(self) -> experiment_pb2.LogRunRequest:
        taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        batch = experiment_pb2.LogRunRequest(run_id=self._run_id, request_id=self._request_id("log", str(self._sent)))
        for record in taken:
            match record:
                case MetricLogged():
                    point = batch.metrics.add(name=record.name, value=record.number, step=record.step)
                    point.at.FromDatetime(record.at)
                case ParamsLogged(params=params):
                    batch.parameters.update(params)
                case ArtifactLogged() | ModelSaved():
                    batch.artifacts.append(
                        model_pb2.Artifact(path=record.path, digest=record.digest, size_bytes=record.size_bytes)
                    )
        return batch
