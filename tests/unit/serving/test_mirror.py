"""Copies of requests for a shadow: never in the way of a request, bounded, counted."""

from __future__ import annotations

import asyncio
import hashlib

import numpy as np
from modelog_common.domain.errors import NotFound
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.releasing.mirror import MOST_WAITING, Mirror, Shadow
from modelog_serving.runtimes.find import LazyRuntimes
from serving_rig import COLUMNS, answers_of, model_file

SIGNATURE = Signature(
    (TensorSpec("features", "FP32", (-1, 4), COLUMNS, ("numeric",) * 4),), (TensorSpec("late", "FP32", (-1,)),)
)
ROWS = np.full((1, 4), 0.5, np.float32)


class Files:
    """The files of models by their digest."""

    def __init__(self, *contents: bytes) -> None:
        self._contents = {hashlib.sha256(content).hexdigest(): content for content in contents}

    async def fetch(self, digest: str) -> bytes:
        if digest not in self._contents:
            raise NotFound(f"there is no file {digest}")
        return self._contents[digest]


def ref_of(content: bytes) -> ModelRef:
    return ModelRef(hashlib.sha256(content).hexdigest(), "xgboost", SIGNATURE, approved=True)


async def came(shadow: Shadow, requests: int) -> None:
    async with asyncio.timeout(150):
        while shadow.compared + shadow.failed < requests:
            await asyncio.sleep(0.01)


async def test_answers_are_compared_and_a_shadow_that_fails_is_counted() -> None:
    content = model_file(0)
    mirror = Mirror(Models(Files(content), LazyRuntimes(1), 8))
    returned = answers_of(content, ROWS).reshape(1, 1)
    good, lost = mirror.cast("a", ref_of(content)), mirror.cast("b", ref_of(b"nowhere"))
    assert mirror.cast("a", ref_of(content)) is good
    assert mirror.digests() == {good.ref.digest, lost.ref.digest}
    task = asyncio.create_task(mirror.run())
    for deployment in ("a", "a", "b", "none"):
        mirror.offer(deployment, ROWS, returned)
    await came(good, 2)
    await came(lost, 1)
    mirror.offer("a", ROWS, returned + 0.5)
    await came(good, 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (good.compared, good.alike, good.failed) == (3, 2, 0)
    assert np.isclose(good.most, 0.5)
    assert np.isclose(good.mirrored().mean_difference, 0.5 / 3)
    assert (lost.compared, lost.failed) == (0, 1)
    assert lost.counts(0).errors == 1


async def test_where_the_shadow_is_behind_copies_are_dropped_and_no_request_waits() -> None:
    mirror = Mirror(Models(Files(), LazyRuntimes(1), 8))
    shadow = mirror.cast("a", ref_of(b"x"))
    for _ in range(MOST_WAITING + 7):
        mirror.offer("a", ROWS, ROWS)  # nobody takes them: it is no coroutine, so it cannot wait
    assert shadow.dropped == 7
    mirror.lift("a")
    mirror.offer("a", ROWS, ROWS)
    assert (shadow.dropped, mirror.digests()) == (7, set())


def test_texts_are_alike_only_if_they_are_the_same() -> None:
    shadow = Shadow(ref_of(b""))
    returned = np.array([["late", 0.5], ["", 1.0]], object)
    for shadowed in (
        returned.copy(),
        np.array([["late", 0.50001], ["", 1.0]], object),
        np.array([["Late", 0.5], ["", 1.0]], object),
        np.array([["late", 0.7], ["", 1.0]], object),
    ):
        shadow.add(returned, shadowed, 1.0)
    shadow.add(returned[:, :1], returned[::-1, :1], 1.0)
    assert (shadow.compared, shadow.alike) == (5, 2)
    assert 0.19 < shadow.most < 0.21
