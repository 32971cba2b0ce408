"""Calls that are answered together: one computation, one entry in the log, and then each its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import ModelogError, Overloaded
from modelog_common.rpc.errors import DeadlineExceeded
from modelog_common.telemetry import metrics
from modelog_common.telemetry.logs import call_line

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.batcher import ROWS_PER_CALL
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.oip.fast_codec import Asked, Shape
from modelog_serving.oip.tensors import infinite
from modelog_serving.predlog.answers import Answerer, Answers
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.rows import Repeated, RowIds, ids_text
from modelog_serving.predlog.writer import Outcome, micros
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route

BATCH_ROWS = ROWS_PER_CALL // 4
NOTHING: Final[Matrix] = np.empty((0, 0), np.float32)


class Call(Protocol):
    """A call of an edge, whose answers are of the kind that the edge sends."""

    @property
    def ended(self) -> bool: ...

    def answer(self, answer: Any, /) -> None: ...

    def hand_over(self) -> None: ...


class Writer(Protocol):
    """Writes the answers of one version of a deployment."""

    def begin(self, outputs: Matrix) -> Callable[[int, Shape, str, str], Any]:
        """What gives the answer of some rows of a batch: of the first row, what was asked, its id, prediction ids."""
        ...


@dataclass(frozen=True)
class Edge:
    """What calls of one kind have in common; `labels` are those of the metric of their duration, if they have one."""

    method: str
    labels: Mapping[str, str] | None
    writer: Callable[[str, str, str, Signature], Writer]
    refuse: Callable[[Any, ModelogError], None]


@dataclass(frozen=True)
class Target:
    """A version of a deployment, in memory, as it answers traffic now; `dtype` is that of its rows, and `answerers`
    is that version for the log.
    """

    route: Route
    version: str
    model: Model
    writer: Writer
    dtype: np.dtype[np.floating[Any]]
    features: Sequence[str]
    answerers: Sequence[Answerer]


@dataclass(frozen=True)
class Parts:
    """What answers are written to and counted by; made in the `loop` that calls come in."""

    log: PredictionLog
    counters: Counters
    meter: Meter
    clock: Clock
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)


class Waiting:
    """A call; `end` is when its time is over, by the loop's clock."""

    __slots__ = ("asked", "call", "end", "key", "prediction_id", "rows")

    def __init__(self, call: Call, asked: Asked, prediction_id: str, key: str, end: float) -> None:
        self.call, self.asked, self.prediction_id, self.key, self.end = call, asked, prediction_id, key, end
        self.rows = asked.shape.rows


class Batch:
    """Calls of one user to one version by one edge, as the batcher's `Work`."""

    def __init__(self, target: Target, user: str, parts: Parts, edge: Edge) -> None:
        self.target, self._user, self._parts, self._edge = target, user, parts, edge
        self._loop = parts.loop
        self.began = self._loop.time()
        self._waiting: list[Waiting] = []
        self._correlation_ids: list[str] = []
        self.requests = self.rows = self.size_bytes = 0
        self._matrix = self._outputs = NOTHING

    @property
    def model(self) -> Model:
        return self.target.model

    def add(self, waiting: Waiting, correlation_id: str = "") -> None:
        self._waiting.append(waiting)
        if correlation_id:
            self._correlation_ids.append(correlation_id)
        self.requests += 1
        self.rows += waiting.rows
        self.size_bytes += len(waiting.asked.values)

    def refuse(self, error: ModelogError) -> None:
        """Tell all of them."""
        for waiting in self._waiting:
            self._edge.refuse(waiting.call, error)

    # The batcher's side.

    def take(self) -> Matrix | None:
        """The rows of those who still wait, and are in time; those that hold what is not allowed are handed over."""
        now = self._loop.time()
        self._waiting = [
            waiting
            for waiting in self._waiting
            if (waiting.end > now and not waiting.call.ended) or self._still(waiting)
        ]
        if not self._waiting:
            return None
        self._matrix = self._joined()
        if infinite(self._matrix).any():
            self._leave_infinite()
            if not self._waiting:
                return None
        return self._matrix

    def answered(self, outputs: Matrix) -> None:
        self._outputs = outputs
        try:
            answers = self._answers(outputs)
        except Exception as error:
            self.failed(error)
            return
        self._parts.log.put(answers, self._logged)

    def failed(self, error: Exception) -> None:
        # One by one, so that each gets its own error, and those that can be answered their answer.
        for waiting in self._waiting:
            waiting.call.hand_over()

    def _still(self, waiting: Waiting) -> bool:
        if waiting.call.ended:
            return False
        if waiting.end > self._loop.time():
            return True
        error = DeadlineExceeded("the call waited longer than its deadline; nothing was done")
        self._edge.refuse(waiting.call, error)
        return False

    def _joined(self) -> Matrix:
        width = self._waiting[0].asked.shape.width
        values = b"".join([waiting.asked.values for waiting in self._waiting])
        return np.frombuffer(values, self.target.dtype).reshape(-1, width)

    def _leave_infinite(self) -> None:
        kept = []
        for waiting in self._waiting:
            if infinite(np.frombuffer(waiting.asked.values, self.target.dtype)).any():
                waiting.call.hand_over()
            else:
                kept.append(waiting)
        self._waiting = kept
        if kept:
            self._matrix = self._joined()

    # The log's side.

    def _answers(self, outputs: Matrix) -> Answers:
        target, rows = self.target, [waiting.rows for waiting in self._waiting]
        ids: Sequence[str] = [waiting.prediction_id for waiting in self._waiting]
        keys: Sequence[str] = [waiting.key for waiting in self._waiting]
        times: Sequence[int] = [micros(self._parts.clock.now())] * len(rows)
        if len(outputs) > len(rows):
            ids, keys, times = RowIds(ids, rows), Repeated(keys, rows), Repeated(times, rows)
        elif keys == ids:
            keys = ()
        return Answers(
            tenant=target.route.tenant,
            deployment=target.route.deployment.name,
            model=target.route.deployment.model,
            ids=ids,
            event_times_us=times,
            keys=keys,
            answerers=target.answerers,
            answered_by=np.zeros(len(ids), np.uint8),
            feature_names=target.features,
            features=self._matrix,
            outputs=outputs,
            given_ids=False,
        )

    def _logged(self, outcome: Outcome | BaseException) -> None:
        if isinstance(outcome, Overloaded):
            self.refuse(outcome)
            return
        if isinstance(outcome, BaseException):
            self.failed(RuntimeError("the log"))
            return
        write, row = self.target.writer.begin(self._outputs), 0
        for waiting in self._waiting:
            ids = waiting.prediction_id if waiting.rows == 1 else ids_text(waiting.prediction_id, waiting.rows)
            waiting.call.answer(write(row, waiting.asked.shape, waiting.asked.id, ids))
            row += waiting.rows
        self._tell(row)

    def _tell(self, rows: int) -> None:
        """Count and log them: one line for all."""
        target, parts, calls = self.target, self._parts, len(self._waiting)
        took_s = self._loop.time() - self.began
        parts.counters.add(target.route.tenant, target.route.deployment.name, target.version, rows)
        parts.meter.answered(target.route, target.version, took_s, calls)
        if self._edge.labels is not None:
            labels, record = self._edge.labels, metrics.server_call_duration().record
            for _ in range(calls):
                record(took_s, labels)
        line = {
            "method": self._edge.method, "code": "OK", "calls": calls, "rows": rows,
            "latency_ms": round(took_s * 1000, 3), "user": self._user, "tenant": target.route.tenant,
            "correlation_ids": self._correlation_ids,
        }  # fmt: skip
        call_line("calls", line)
