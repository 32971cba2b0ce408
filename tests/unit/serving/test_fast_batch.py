"""Of calls that are answered together, those are left out that left or are out of time, and none spoils another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import grpc
import numpy as np
import pytest
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Overloaded
from modelog_common.edge.status import Status
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import Deployment
from modelog_serving.oip.fast import GRPC
from modelog_serving.oip.fast_batch import Batch, Parts, Target, Waiting
from modelog_serving.oip.fast_codec import Asked, Shape, Writer
from modelog_serving.oip.tensors import FLOAT32
from modelog_serving.predlog.answers import Answerer
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1,)),))
ROUTE = Route("acme", Deployment(id="d", name="flights", model="delay", signature=SIGNATURE), {})


@dataclass
class Seen:
    """Stands for a call of the edge, and keeps what it was told."""

    ended: bool = False
    answers: list[bytes] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    handed_over: int = 0

    def answer(self, message: bytes) -> None:
        self.answers.append(message)

    def fail(self, status: Status) -> None:
        self.statuses.append(status)

    def hand_over(self) -> None:
        self.handed_over += 1


class First:
    def predict(self, rows: Any) -> Any:
        return rows[:, :1]


@pytest.fixture
async def parts(tmp_path: Path) -> Parts:
    clock = SystemClock()
    log = await PredictionLog.open(tmp_path / "predictions.db", clock)
    return Parts(log, Counters(), Meter(clock, timedelta(minutes=1)), clock)


def batch_of(parts: Parts, *values: float, end_s: float = 60, left: int = -1) -> tuple[Batch, list[Seen]]:
    target = Target(
        ROUTE, "1.0.0", First(), Writer("flights", "1.0.0", "d" * 64, SIGNATURE), FLOAT32, SIGNATURE.features,
        [Answerer("1.0.0", "d" * 64)],
    )  # fmt: skip
    batch, seen = Batch(target, "alice", parts, GRPC), []
    for number, value in enumerate(values):
        call = Seen(ended=number == left)
        seen.append(call)
        asked = Asked(Shape("flights", "x", 1, 2, raw=True), np.full(2, value, "<f4").tobytes())
        end = asyncio.get_running_loop().time() + end_s
        batch.add(Waiting(cast(Any, call), asked, f"id-{number}", f"id-{number}", end))
    return batch, seen


async def test_who_left_is_left_out_and_the_others_are_answered_when_it_is_in_the_log(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, held = parts.log.put, list[tuple[Any, Any]]()
    monkeypatch.setattr(parts.log, "put", lambda answers, done: held.append((answers, done)))
    batch, (first, gone, last) = batch_of(parts, 1, 2, 3, left=1)
    rows = batch.take()
    assert rows is not None
    assert rows.tolist() == [[1, 1], [3, 3]]
    batch.answered(rows[:, :1])
    assert not first.answers
    put(*held[0])
    await parts.log.close()
    assert len(first.answers) == len(last.answers) == 1
    assert not gone.answers
    assert parts.counters.answered("acme", "flights", "1.0.0") == 2
    assert parts.meter.total("acme", "flights", "1.0.0").answered == 2


async def test_who_is_out_of_time_is_told_so_and_not_computed(parts: Parts) -> None:
    batch, seen = batch_of(parts, 1, 2, end_s=-1)
    assert batch.take() is None
    assert [[status.code for status in call.statuses] for call in seen] == [[grpc.StatusCode.DEADLINE_EXCEEDED]] * 2
    await parts.log.close()


async def test_what_is_not_allowed_is_handed_over_alone(parts: Parts) -> None:
    batch, seen = batch_of(parts, 1, float("inf"), float("nan"))
    rows = batch.take()
    assert rows is not None
    assert len(rows) == 2
    assert [call.handed_over for call in seen] == [0, 1, 0]
    alone, (only,) = batch_of(parts, float("-inf"))
    assert alone.take() is None
    assert only.handed_over == 1
    await parts.log.close()


async def test_what_a_model_cannot_answer_is_asked_for_one_by_one(parts: Parts) -> None:
    batch, seen = batch_of(parts, 1, 2)
    batch.take()
    batch.failed(ValueError("no"))
    assert [call.handed_over for call in seen] == [1, 1]
    await parts.log.close()


async def test_who_is_refused_is_told_when_to_come_again(parts: Parts) -> None:
    batch, seen = batch_of(parts, 1, 2)
    batch.refuse(Overloaded("full", 5))
    for call in seen:
        (status,) = call.statuses
        assert (status.code, status.text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        assert [name for name, _ in status.metadata] == ["grpc-status-details-bin"]
    await parts.log.close()
