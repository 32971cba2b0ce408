"""Answers the topic of inference requests: predict in batches, log with the producer's sequence, each batch once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.progress import Progress
from modelog_common.bus.topics import INFERENCE_REQUESTS, sender_of
from modelog_common.domain.errors import Invalid, ModelogError, NotFound, Unavailable

from modelog_serving.deployment.state import Variant
from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.failed import ModelFailed
from modelog_serving.engine.models import Models
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.predlog.answers import Answerer, Answers
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.writer import StreamCommit
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.routes import Route, Routes
from modelog_serving.stream.requests import Asked, checked, read

COMMIT_ROWS = 8_000
CONSUMER = "serving.requests"
log = structlog.get_logger()


@dataclass
class _Step:
    """What was answered and is not stored yet."""

    answers: list[Answers] = field(default_factory=list)
    reached: dict[str, int] = field(default_factory=dict)
    rows: int = 0


class RequestStream:
    """A handler for the bus's Consumer. What a producer sent is acknowledged by `reached`."""

    def __init__(
        self, routes: Routes, models: Models, batcher: Batcher, predictions: PredictionLog, counters: Counters
    ) -> None:
        self._routes, self._models, self._batcher = routes, models, batcher
        self._log, self._counters = predictions, counters
        self._buried: dict[str, int] = {}

    async def progress(self, tenant: str, producer: str, topic: str) -> int:
        """The last sequence of a tenant's producer that was handled, durably; raises NotFound for other topics."""
        if topic != INFERENCE_REQUESTS.kind:
            raise NotFound(f"serving reads no topics {topic!r}; it reads {INFERENCE_REQUESTS.kind}")
        return self._log.reached(sender_of(tenant, producer))

    async def load(self, topic: str, partition: int) -> Progress | None:
        """Where reading begins: this is the consumer's ConsumerProgress."""
        # Reading begins again when a dead letter could not be sent: then it was not buried after all.
        self._buried.clear()
        return await self._log.load(topic, partition)

    async def handle(self, messages: Sequence[Received], progress: Progress) -> None:
        """Answer the batches in order and store their answers.

        Several transactions are used for many rows: what is done is known by the producers' sequences, so the
        consumer's own progress need only come last. Raises Poison for a batch that can never be answered.
        """
        step = _Step()
        for message in messages:
            try:
                await self._take(message, step)
            except Poison:
                # What came before it is stored; the consumer buries this one and hands in the rest again.
                await self._commit(step, None)
                raise
            if step.rows >= COMMIT_ROWS and message is not messages[-1]:
                await self._commit(step, None)
                step = _Step()
        step.reached = {**self._buried, **step.reached}
        await self._commit(step, progress)
        self._buried.clear()

    async def _take(self, message: Received, step: _Step) -> None:
        asked = read(message)
        # A replayed batch has had its place in the count since it was refused.
        if not message.replayed and not self._is_next(asked, step.reached):
            return
        try:
            answers = await self._tried(message, asked)
        except Poison:
            if not message.replayed:
                self._buried[asked.sender] = asked.batch.sequence
            raise
        step.answers.append(answers)
        if not message.replayed:
            step.reached[asked.sender] = asked.batch.sequence
        step.rows += len(answers.ids)

    async def _tried(self, message: Received, asked: Asked) -> Answers:
        """What a model does not take, or fails at, is put aside: it would hold up for good what comes after it."""
        try:
            return await self._answer(asked)
        except (Invalid, ModelFailed) as error:
            raise Poison(message, str(error)) from error

    async def _commit(self, step: _Step, progress: Progress | None) -> None:
        if not step.answers and progress is None:
            return
        await self._log.append_stream(StreamCommit(step.answers, step.reached, progress))
        for answers in step.answers:
            counts = np.bincount(answers.answered_by, minlength=len(answers.answerers))
            for answerer, rows in zip(answers.answerers, counts.tolist(), strict=True):
                self._counters.add(answers.tenant, answers.deployment, answerer.version, rows)

    def _is_next(self, asked: Asked, reached: dict[str, int]) -> bool:
        """Whether a batch follows what its producer sent before; one that was handled, or comes too early, is left out.

        A batch comes too early when a broker lost those before it; its producer sends all again from `progress` on.
        """
        producer, sequence = asked.sender, asked.batch.sequence
        last = max(reached.get(producer, 0), self._log.reached(producer), self._buried.get(producer, 0))
        if sequence > last + 1:
            log.warning("request batch came too early", producer=producer, sequence=sequence, expected=last + 1)
        return sequence == last + 1

    async def _answer(self, asked: Asked) -> Answers:
        route, matrix = checked(asked, self._routes)
        batch = asked.batch
        variants, drawn = route.drawn_all(batch.keys or batch.prediction_ids)
        chosen = [slice(None) if len(variants) == 1 else drawn == number for number in range(len(variants))]
        parts = [
            await self._predicted(await self._model(route, variant), matrix[rows])
            for variant, rows in zip(variants, chosen, strict=True)
        ]
        outputs: Matrix = np.empty((len(matrix), parts[0].shape[1]), np.result_type(*parts))
        for rows, part in zip(chosen, parts, strict=True):
            outputs[rows] = part
        return Answers(
            tenant=route.tenant,
            deployment=batch.deployment,
            model=route.deployment.model,
            ids=batch.prediction_ids,
            event_times_us=batch.event_times_us,
            keys=batch.keys,
            answerers=[Answerer(v.version, v.digest) for v in variants],
            answered_by=drawn,
            feature_names=route.deployment.signature.features,
            features=matrix,
            outputs=outputs,
            source=asked.source,
            watermark_us=batch.watermark_us,
        )

    async def _predicted(self, model: Model, rows: Matrix) -> Matrix:
        return await batcher_of(model, self._batcher).predict_alone(model, rows)

    async def _model(self, route: Route, variant: Variant) -> Model:
        ref = route.ref(variant)
        try:
            return self._models.loaded(ref) or await self._models.get(ref)
        except ModelogError as error:
            # The batch is good: it waits until its model is there again.
            raise Unavailable(f"{route.deployment.model} {variant.version} cannot be loaded: {error}") from error
