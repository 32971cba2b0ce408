"""From the topics of the data plane into the window store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.progress import Progress
from modelog_common.bus.topics import OUTCOMES, PREDICTIONS, sender_of, tenant_in

from modelog_monitoring.data.batches import WrongBatch, outcome_batch, prediction_batch
from modelog_monitoring.data.store import Batch, Flow, Kind, WindowStore

BATCHES_AT_ONCE = 100
TOPICS = (PREDICTIONS, OUTCOMES)


def predictions_of(message: bytes, tenant: str) -> Batch:
    """The stored form of a PredictionBatch from a tenant's topic; raises WrongBatch."""
    batch = prediction_batch(message, tenant)
    versions = Counter(batch.answerers[n].version for n in batch.answered_by)
    return Batch(
        kind=Kind.PREDICTIONS,
        sender=batch.log_id,
        sequence=batch.sequence,
        flow=Flow(Kind.PREDICTIONS, batch.deployment, tenant),
        source=f"{batch.log_id}/{batch.source_producer}",
        watermark_us=batch.watermark_us,
        rows=len(batch.prediction_ids),
        first_us=min(batch.event_times_us, default=None),
        last_us=max(batch.event_times_us, default=None),
        message=message,
        versions=versions,
    )


def outcomes_of(message: bytes, tenant: str) -> Batch:
    """The stored form of an OutcomeBatch from a tenant's topic; raises WrongBatch."""
    batch = outcome_batch(message)
    sender = sender_of(tenant, batch.producer)
    return Batch(
        kind=Kind.OUTCOMES,
        sender=sender,
        sequence=batch.sequence,
        flow=Flow(Kind.OUTCOMES, batch.deployment, tenant),
        source=sender,
        watermark_us=batch.watermark_us,
        rows=len(batch.prediction_ids),
        first_us=min(batch.event_times_us, default=None),
        last_us=max(batch.event_times_us, default=None),
        message=message,
    )


class Ingest:
    """The handler of a consumer of both topics; each of `listeners` is called after a change."""

    def __init__(self, store: WindowStore, *listeners: Callable[[], None]) -> None:
        self._store, self._listeners = store, listeners
        self._refused: list[Batch] = []

    async def handle(self, messages: Sequence[Received], progress: Progress) -> None:
        """Store what is new; raises Poison for a wrong batch, whose place in the count is stored with the others."""
        new = await asyncio.to_thread(self._handle, messages, progress)
        self._refused.clear()
        if new:
            for listener in self._listeners:
                listener()

    def _handle(self, messages: Sequence[Received], progress: Progress) -> int:
        batches = [self._read(message) for message in messages]
        return self._store.add([*self._refused, *batches], progress)

    def _read(self, message: Received) -> Batch:
        tenant = tenant_in(message.topic)
        outcomes = OUTCOMES.has(message.topic)
        try:
            return outcomes_of(message.value, tenant) if outcomes else predictions_of(message.value, tenant)
        except WrongBatch as wrong:
            if wrong.sequence and not message.replayed:
                kind = Kind.OUTCOMES if outcomes else Kind.PREDICTIONS
                sender = sender_of(tenant, wrong.sender) if outcomes else wrong.sender
                self._refused.append(Batch(kind, sender, wrong.sequence))
            raise Poison(message, str(wrong)) from wrong
