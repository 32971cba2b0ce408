"""Requests share calls of a model, stay apart, take turns between models, and are refused before they wait long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
from modelog_common.domain.errors import Invalid, Overloaded, Unavailable
from modelog_serving.engine import batcher as batcher_module
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.failed import HUNG, ModelDied
from modelog_serving.engine.runtime import Matrix, Quick

PATIENCE_S = 150.0


class Gate:
    """Answers the first column when it may, and tells which rows each call had and on which thread."""

    def __init__(self, name: str = "", seen: list[str] | None = None) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.calls: list[int] = []
        self.rows: list[float] = []
        self.threads: set[int] = set()
        self._name, self._seen = name, [] if seen is None else seen

    def predict(self, rows: Matrix) -> Matrix:
        self.entered.set()
        assert self.open.wait(PATIENCE_S)
        self.threads.add(threading.get_ident())
        self.calls.append(len(rows))
        self.rows += rows[:, 0].tolist()
        self._seen.append(self._name)
        if (rows < 0).any():
            raise ValueError("negative")
        return rows[:, :1]


class Short(Gate, Quick):
    """Its rows take no time."""

    rows_per_ms = 10

    def __init__(self) -> None:
        super().__init__()
        self.open.set()


def row(value: float, rows: int = 1) -> Matrix:
    return np.full((rows, 4), value, np.float32)


@pytest.fixture
async def batcher() -> AsyncIterator[Batcher]:
    made = Batcher()
    yield made
    await made.close()


async def entered(model: Gate) -> None:
    assert await asyncio.to_thread(model.entered.wait, PATIENCE_S)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_waits_for_a_model_shares_a_call(batcher: Batcher) -> None:
    one, other = Gate(), Gate()
    first = asyncio.create_task(batcher.predict(one, row(0)))
    await entered(one)
    waiting = [asyncio.create_task(batcher.predict(one, row(n, rows=2))) for n in range(1, 4)]
    beside = asyncio.create_task(batcher.predict(other, row(9)))
    await turns()
    other.open.set()
    assert (await beside).tolist() == [[9]]
    one.open.set()
    assert (await first).tolist() == [[0]]
    assert [(await task).tolist() for task in waiting] == [[[n], [n]] for n in range(1, 4)]
    assert one.calls == [1, 6]


async def test_a_caller_who_left_is_not_computed(batcher: Batcher) -> None:
    model = Gate()
    first = asyncio.create_task(batcher.predict(model, row(0)))
    await entered(model)
    gone, stays = (asyncio.create_task(batcher.predict(model, row(n))) for n in (1, 2))
    await turns()
    gone.cancel()
    await turns()
    model.open.set()
    assert (await stays).tolist() == [[2]]
    await first
    assert model.rows == [0, 2]


async def test_who_is_out_of_time_is_not_computed(batcher: Batcher) -> None:
    model = Gate()
    first = asyncio.create_task(batcher.predict(model, row(0)))
    await entered(model)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await batcher.predict(model, row(1))
    model.open.set()
    await first
    assert (await batcher.predict(model, row(2))).tolist() == [[2]]
    assert model.rows == [0, 2]


async def test_a_batch_is_never_above_the_maximum(batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "ROWS_PER_CALL", 4)
    model = Gate()
    model.open.set()
    sizes = [1, 2, 3, 10, 4, 1, 1]
    answers = await asyncio.gather(*(batcher.predict(model, row(n, rows=size)) for n, size in enumerate(sizes)))
    assert [answer.tolist() for answer in answers] == [[[n]] * size for n, size in enumerate(sizes)]
    assert max(model.calls) == 4
    assert sum(model.calls) == sum(sizes)
    assert (await batcher.predict_alone(model, row(7, rows=9))).tolist() == [[7]] * 9
    assert model.calls[-3:] == [4, 4, 1]


async def test_one_that_cannot_be_answered_does_not_spoil_its_batch(batcher: Batcher) -> None:
    model = Gate()
    first = asyncio.create_task(batcher.predict(model, row(0)))
    await entered(model)
    tasks = [asyncio.create_task(batcher.predict(model, row(value))) for value in (1, -2, 3)]
    await turns()
    model.open.set()
    await first
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["ndarray", "ValueError", "ndarray"]
    assert model.calls == [1, 3, 1, 1, 1]


class Hangs:
    """Was ended because it took too long."""

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, rows: Matrix) -> Matrix:
        self.calls += 1
        raise ModelDied(HUNG, "took too long")


async def test_a_batch_that_took_too_long_is_not_asked_for_again_one_by_one(batcher: Batcher) -> None:
    model = Hangs()
    answers = await asyncio.gather(*(batcher.predict(model, row(n)) for n in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["took too long"] * 3
    assert model.calls == 1


class Picky:
    """Cannot take negative rows, and says so."""

    def predict(self, rows: Matrix) -> Matrix:
        if (rows < 0).any():
            raise Invalid.field("inputs", "are negative")
        return rows[:1]


async def test_a_model_that_answers_too_few_rows_is_told_of(batcher: Batcher) -> None:
    with pytest.raises(Unavailable, match="the model answered 1 rows where 2 were asked for"):
        await batcher.predict(Picky(), row(1, rows=2))
    with pytest.raises(Invalid, match="are negative"):
        await batcher.predict(Picky(), row(-1))


async def test_models_take_turns_whatever_waits_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "ROWS_PER_CALL", 1)
    batcher = Batcher(workers=1)
    seen: list[str] = []
    busy, quiet = Gate("busy", seen), Gate("quiet", seen)
    quiet.open.set()
    many = [asyncio.create_task(batcher.predict(busy, row(n))) for n in range(50)]
    await entered(busy)
    one = asyncio.create_task(batcher.predict(quiet, row(0)))
    await turns()
    busy.open.set()
    await asyncio.gather(one, *many)
    # It came when fifty waited for the other, and was answered after the two that had their turn.
    assert "quiet" in seen[:3]
    await batcher.close()


async def test_a_model_that_hangs_holds_up_no_other(batcher: Batcher) -> None:
    hanging, other = Gate(), Gate()
    other.open.set()
    stuck = asyncio.create_task(batcher.predict(hanging, row(0)))
    await entered(hanging)
    for n in range(3):
        assert (await batcher.predict(other, row(n))).tolist() == [[n]]
    hanging.open.set()
    await stuck


async def test_short_batches_are_computed_on_the_loop_and_long_ones_are_not(batcher: Batcher) -> None:
    model = Short()
    await asyncio.gather(*(batcher.predict(model, row(n)) for n in range(5)))
    assert model.threads == {threading.get_ident()}
    assert model.calls == [5]
    await batcher.predict(model, row(0, rows=model.rows_per_ms * batcher_module.LOOP_MS + 1))
    assert len(model.threads) == 2


async def test_the_loop_computes_a_part_when_all_threads_are_taken() -> None:
    batcher = Batcher(workers=1)
    slow, model = Gate(), Short()
    stuck = asyncio.create_task(batcher.predict(slow, row(0)))
    await entered(slow)
    most = model.rows_per_ms * batcher_module.LOOP_MS
    tasks = [asyncio.create_task(batcher.predict(model, row(n))) for n in range(2 * most + 1)]
    await asyncio.gather(*tasks)
    assert model.calls == [most, most, 1]
    slow.open.set()
    await stuck
    await batcher.close()


async def test_too_many_waiting_requests_are_refused(batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "MOST_WAITING", 1)
    model = Gate()
    first = asyncio.create_task(batcher.predict(model, row(0)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="1 requests wait for an answer already"):
        await batcher.predict(model, row(1))
    model.open.set()
    await first


async def test_too_many_waiting_bytes_are_refused(batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "MOST_BYTES", 100)
    model = Gate()
    first = asyncio.create_task(batcher.predict(model, row(0, rows=50)))
    await entered(model)
    # What is computed is not waiting; what is larger than the bound alone is taken when nothing waits.
    second = asyncio.create_task(batcher.predict(model, row(1, rows=50)))
    await turns()
    with pytest.raises(Overloaded, match="requests of 800 bytes wait for an answer already"):
        await batcher.predict(model, row(2))
    model.open.set()
    assert len(await first) == len(await second) == 50


async def test_who_would_wait_too_long_is_refused_at_once() -> None:
    batcher = Batcher(longest_wait_s=0.0)
    model = Gate()
    model.open.set()
    # Nobody waits before the first one, whatever it will take.
    assert (await batcher.predict(model, row(0, rows=100))).tolist() == [[0]] * 100
    model.open.clear()
    model.entered.clear()
    first = asyncio.create_task(batcher.predict(model, row(1)))
    await entered(model)
    with pytest.raises(Overloaded, match="requests that would wait longer than 0 s are refused") as refused:
        await batcher.predict(model, row(2))
    assert refused.value.retry_after_s > 0
    other = Gate()
    other.open.set()
    assert (await batcher.predict(other, row(3))).tolist() == [[3]]
    model.open.set()
    await first
    await batcher.close()


async def test_what_waits_is_answered_before_the_end() -> None:
    batcher, model = Batcher(), Gate()
    tasks = [asyncio.create_task(batcher.predict(model, row(n))) for n in range(3)]
    await entered(model)
    tasks.append(asyncio.create_task(batcher.predict(model, row(3))))
    await turns()
    closing = asyncio.create_task(batcher.close())
    await turns()
    assert not closing.done()
    model.open.set()
    await closing
    assert [task.result().tolist() for task in tasks] == [[[n]] for n in range(4)]


async def test_batches_of_a_model_go_side_by_side_where_it_has_more_than_one_place() -> None:
    made, model = Batcher(4, far=True), Gate()
    made.at_once = 2
    first = asyncio.create_task(made.predict(model, row(1)))
    await entered(model)
    model.entered.clear()
    second = asyncio.create_task(made.predict(model, row(2)))
    await entered(model)
    waiting = [asyncio.create_task(made.predict(model, row(3))) for _ in range(3)]
    await turns()
    model.open.set()
    assert [(await task)[0, 0] for task in (first, second, *waiting)] == [1, 2, 3, 3, 3]
    assert sorted(model.calls) == [1, 1, 3], "the third batch waited for one of two places"
    await made.close()


async def test_the_way_to_a_model_is_not_taken_for_the_time_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(batcher_module.time, "perf_counter", lambda: now_s)
    made = Batcher(1, far=True)

    class Far:
        def predict(self, rows: Matrix) -> Matrix:
            nonlocal now_s
            now_s += 0.02 + len(rows) * 0.0001
            return rows[:, :1]

    model = Far()
    for rows in (1, 1, 101):
        await made.predict(model, row(0, rows))
    answers = [asyncio.create_task(made.predict(model, row(0))) for _ in range(500)]
    assert len(await asyncio.gather(*answers)) == 500, "500 requests are one batch, which takes no second"
    await made.close()
