"""Answers are given again to the same rows of the same model in the same deployment, and to nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.cache.memory import MemoryCache
from modelog_common.telemetry import metrics
from modelog_serving.deployment.caching import Caching
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import RUNNING, Deployment
from modelog_serving.engine.models import ModelRef
from modelog_serving.engine.runtime import Matrix
from modelog_serving.routing.caching import PAUSE_S, AnswerCache, key_of
from modelog_serving.routing.routes import Route
from opentelemetry import metrics as opentelemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

AT = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
SIGNATURE = Signature(
    (TensorSpec("features", "FP32", (-1, 2), ("hour", "wind")),), (TensorSpec("late", "FP32", (-1,)),)
)
REF = ModelRef("a" * 64, "xgboost", SIGNATURE)
CACHING = Caching(60, 1 << 16, AT)
ROUTE = Route("acme", Deployment(id="d1", name="flights", status=RUNNING, caching=CACHING), {})
ROWS = np.array([[1, 2], [3, np.nan]], np.float32)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Asked:
    """A model that counts how often it was asked, and answers with that."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> Matrix:
        self.times += 1
        return np.full((2, 1), self.times, np.float32)


class Stuck(MemoryCache):
    """A cache that answers only when it is let."""

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        super().__init__(max_bytes)
        self.open = asyncio.Event()
        self.looked = 0

    async def get(self, key: str) -> bytes | None:
        self.looked += 1
        await self.open.wait()
        return await super().get(key)


def cache_of(clock: Clock) -> AnswerCache:
    return AnswerCache(lambda max_bytes: MemoryCache(max_bytes, clock), 60.0, clock)


async def ask(cache: AnswerCache, model: Asked, *, route: Route = ROUTE, rows: Matrix = ROWS) -> tuple[float, bool]:
    outputs, cached = await cache.answer(route, "1.0.0", REF, rows, model)
    return float(outputs[0, 0]), cached


def with_caching(caching: Caching | None) -> Route:
    return replace(ROUTE, deployment=replace(ROUTE.deployment, caching=caching))


async def test_the_same_rows_are_answered_again_until_their_time_is_over() -> None:
    clock, model = Clock(), Asked()
    cache = cache_of(clock)
    assert [await ask(cache, model) for _ in range(3)] == [(1, False), (1, True), (1, True)]
    assert await ask(cache, model, rows=ROWS + 1) == (2, False)
    clock.now_s = 61
    assert [await ask(cache, model) for _ in range(2)] == [(3, False), (3, True)]
    assert (cache.hits("acme", "flights"), cache.misses("acme", "flights")) == (3, 3)
    assert cache.hits("other", "flights") == 0


async def test_what_is_given_again_is_the_same_bit_by_bit() -> None:
    cache = cache_of(Clock())
    made = np.array([[np.nan, 1 / 3], [-0.0, 5e-324]])
    ref = replace(REF, signature=Signature(SIGNATURE.inputs, (TensorSpec("late", "FP64", (-1, 2)),)))

    async def compute() -> Matrix:
        return made

    for cached in (False, True):
        found, again = await cache.answer(ROUTE, "1.0.0", ref, ROWS, compute)
        assert again is cached
        assert (found.dtype, found.shape, found.tobytes()) == (made.dtype, made.shape, made.tobytes())


def test_another_tenant_model_deployment_or_row_has_another_key() -> None:
    deployment, later = ROUTE.deployment, replace_since(CACHING)
    other = Signature(SIGNATURE.inputs, (TensorSpec("early", "FP32", (-1,)),))
    keys = [
        key_of(ROUTE, CACHING, REF, ROWS),
        key_of(replace(ROUTE, tenant="other"), CACHING, REF, ROWS),
        key_of(replace(ROUTE, deployment=replace(deployment, id="d2")), CACHING, REF, ROWS),
        key_of(ROUTE, later, REF, ROWS),
        key_of(ROUTE, CACHING, replace(REF, digest="b" * 64), ROWS),
        key_of(ROUTE, CACHING, replace(REF, flavor="lightgbm"), ROWS),
        key_of(ROUTE, CACHING, replace(REF, signature=other), ROWS),
        key_of(ROUTE, CACHING, REF, ROWS.astype(np.float64)),
        key_of(ROUTE, CACHING, REF, ROWS.reshape(1, 4)),
        key_of(ROUTE, CACHING, REF, ROWS[::-1]),
        key_of(ROUTE, CACHING, REF, ROWS * np.float32(-1)),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of(ROUTE, CACHING, REF, np.asfortranarray(ROWS)) == keys[0]


def replace_since(caching: Caching) -> Caching:
    return Caching(caching.ttl_s, caching.max_bytes, caching.since + timedelta(seconds=1))


async def test_a_failure_is_not_kept() -> None:
    cache, model = cache_of(Clock()), Asked()

    async def fail() -> Matrix:
        raise Unavailable("the model is away")

    with pytest.raises(Unavailable):
        await cache.answer(ROUTE, "1.0.0", REF, ROWS, fail)
    assert await ask(cache, model) == (1, False)


async def test_without_a_cache_every_request_is_computed_and_a_cache_set_anew_is_empty() -> None:
    cache, model = cache_of(Clock()), Asked()
    assert [await ask(cache, model, route=with_caching(None)) for _ in range(2)] == [(1, False), (2, False)]
    assert cache.misses("acme", "flights") == 0
    assert [await ask(cache, model) for _ in range(2)] == [(3, False), (3, True)]
    assert await ask(cache, model, route=with_caching(replace_since(CACHING))) == (4, False)


async def test_a_large_answer_does_not_push_out_the_others() -> None:
    cache, model = cache_of(Clock()), Asked()
    await ask(cache, model)
    large = np.zeros((3000, 1), np.float32)

    async def compute() -> Matrix:
        return large

    for _ in range(2):
        assert not (await cache.answer(ROUTE, "1.0.0", REF, np.zeros((3000, 2), np.float32), compute))[1]
    assert await ask(cache, model) == (1, True)


async def test_what_is_no_answer_is_a_miss() -> None:
    kept, model = MemoryCache(), Asked()
    cache = AnswerCache(lambda _: kept, 60.0)
    for value in (b"", b"<f4", b"<f4" + bytes(7), b"|O8" + bytes(16), b"<i4" + bytes(8)):
        await kept.put(key_of(ROUTE, CACHING, REF, ROWS), value)
        assert await ask(cache, model) == (model.times, False)


async def test_a_cache_that_is_stuck_is_passed_by_and_left_alone_for_a_while() -> None:
    clock, model, stuck = Clock(), Asked(), Stuck()
    cache = AnswerCache(lambda _: stuck, 0.001, clock)
    assert [await ask(cache, model) for _ in range(3)] == [(1, False), (2, False), (3, False)]
    assert stuck.looked == 1
    clock.now_s = PAUSE_S
    assert await ask(cache, model) == (4, False)
    assert stuck.looked == 2
    stuck.open.set()
    clock.now_s = 2 * PAUSE_S
    assert [await ask(cache, model) for _ in range(2)] == [(5, False), (5, True)]


async def test_what_no_deployment_gives_again_is_let_go_of() -> None:
    made: list[MemoryCache] = []

    def make(max_bytes: int) -> MemoryCache:
        made.append(MemoryCache(max_bytes))
        return made[-1]

    cache, model = AnswerCache(make, 60.0), Asked()
    await ask(cache, model)
    cache.tidy([ROUTE])
    assert await ask(cache, model) == (1, True)
    cache.tidy([with_caching(None)])
    assert await ask(cache, model) == (2, False)
    assert len(made) == 2


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """Reads what this test counts, and nothing of the process's other tests."""
    made = InMemoryMetricReader()
    monkeypatch.setattr(opentelemetry, "get_meter", MeterProvider([made]).get_meter)
    counters = (metrics.answer_cache_hits, metrics.answer_cache_misses, metrics.cache_failures)
    for counter in counters:
        counter.cache_clear()
    yield made
    for counter in counters:
        counter.cache_clear()


async def test_hits_misses_and_failures_are_counted(reader: InMemoryMetricReader) -> None:
    cache, model = cache_of(Clock()), Asked()
    for _ in range(3):
        await ask(cache, model)
    await ask(AnswerCache(lambda _: Stuck(), 0.001), model)
    data = reader.get_metrics_data()
    assert data is not None
    found: dict[str, Any] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        (point,) = cast(Any, metric.data).data_points
        found[metric.name] = (point.value, dict(point.attributes))
    about = {"modelog.tenant": "acme", "modelog.deployment": "flights", "modelog.version": "1.0.0"}
    assert found == {
        "modelog.serving.cache.hits": (2, about),
        "modelog.serving.cache.misses": (2, about),
        "modelog.cache.failures": (1, {"modelog.cache.operation": "get"}),
    }


async def test_texts_are_kept_by_all_of_their_characters() -> None:
    cache, asked = cache_of(Clock()), list[str]()
    signature = Signature((TensorSpec("note", "BYTES", (-1,)),), (TensorSpec("label", "BYTES", (-1, 2)),))
    ref = ModelRef("b" * 64, "python_function", signature)

    async def answered(*texts: str) -> tuple[list[list[str | float]], bool]:
        async def compute() -> Matrix:
            asked.extend(texts)
            return np.array([[text.upper(), 0.5] for text in texts], object)

        outputs, cached = await cache.answer(ROUTE, "1.0.0", ref, np.array([[t] for t in texts], object), compute)
        return outputs.tolist(), cached

    first = [["ZOË ✈", 0.5], ["", 0.5]]
    assert await answered("zoë ✈", "") == (first, False)
    assert await answered("zoë ✈", "") == (first, True)
    assert await answered("", "zoë ✈") == (first[::-1], False)
    assert await answered("zoë ", "✈") == ([["ZOË ", 0.5], ["✈", 0.5]], False)
    assert len(asked) == 6
