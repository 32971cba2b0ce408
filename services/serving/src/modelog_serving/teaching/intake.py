"""From the topics of outcomes into the file of labels: those of deployments that learn, or are to learn on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError
from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.progress import Progress
from modelog_common.bus.topics import tenant_in
from modelog_common.domain.clock import Clock
from modelog_proto.serving.v1.data_pb2 import OutcomeBatch

from modelog_serving.teaching.labels import LabelFile, Place, Told

MAX_ID = 200


class LabelIntake:
    """A handler for the bus's Consumer. `wanted` says whether labels of a tenant's deployment are kept."""

    def __init__(self, labels: LabelFile, wanted: Callable[[str, str], bool], clock: Clock) -> None:
        self._labels, self._wanted, self._clock = labels, wanted, clock

    async def handle(self, messages: Sequence[Received], progress: Progress) -> None:
        """Keep what is wanted; raises Poison for a message that holds no outcomes."""
        told = []
        for message in messages:
            batch = _read(message)
            place = Place(tenant_in(message.topic), batch.deployment)
            if self._wanted(place.tenant, place.deployment):
                told.append((place, labels_of(batch)))
        await asyncio.to_thread(self._labels.add, told, self._clock.now().timestamp(), progress)


def labels_of(batch: OutcomeBatch) -> list[Told]:
    """A batch's labels, in its order."""
    nothing = [None] * len(batch.prediction_ids)
    rows = zip(batch.prediction_ids, batch.labels or nothing, batch.amounts or nothing, strict=True)
    return [Told(*row) for row in rows]


def _read(message: Received) -> OutcomeBatch:
    try:
        batch = OutcomeBatch.FromString(message.value)
    except DecodeError as error:
        raise Poison(message, f"its bytes are no OutcomeBatch: {error}") from error
    problem = _problem(batch)
    if problem:
        raise Poison(message, problem)
    return batch


def _problem(batch: OutcomeBatch) -> str:
    """What keeps its labels from being learned from."""
    rows = len(batch.prediction_ids)
    for name, values in (("labels", batch.labels), ("amounts", batch.amounts)):
        if values and len(values) != rows:
            return f"{name} has {len(values)} entries; {rows} are needed"
        wrong = next((value for value in values if not math.isfinite(value)), None)
        if wrong is not None:
            return f"{name} holds {wrong}, which is no number"
    if rows and not (batch.labels or batch.amounts):
        return "it holds neither labels nor amounts"
    wrong_id = next((one for one in batch.prediction_ids if not 1 <= len(one) <= MAX_ID), None)
    if wrong_id is not None:
        return f"prediction_ids holds {wrong_id[:MAX_ID]!r}; 1 to {MAX_ID} characters are needed"
    return ""
