"""Shadows: copies of requests for a candidate, whose answers are compared with those returned and go nowhere else.

A request is never delayed by its copy: it waits in a queue with a bound, and where that is full it is dropped and
counted. The candidate is asked one copy at a time, in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from modelog_common.domain.errors import ModelogError

from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import numbers_in, texts_in
from modelog_serving.release.events import Counts, Mirrored
from modelog_serving.traffic.latency import bucket_of

MOST_WAITING = 256
# Answers are alike where all of their numbers are as near as this, absolutely or in proportion, and texts are the same.
NEAR = 1e-3


@dataclass
class Shadow:
    """What came of the copies so far."""

    ref: ModelRef
    alike: int = 0
    compared: int = 0
    failed: int = 0
    dropped: int = 0
    differences: float = 0.0
    most: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    def mirrored(self) -> Mirrored:
        mean = self.differences / max(self.compared, 1)
        return Mirrored(self.compared, self.alike, self.failed, self.dropped, mean, self.most)

    def counts(self, limit_ms: float) -> Counts:
        """As requests are counted: those that failed, and those that took longer than the limit."""
        slow = sum(n for bucket, n in self.buckets.items() if bucket > bucket_of(limit_ms)) if limit_ms else 0
        return Counts(self.compared + self.failed, self.failed, slow)

    def add(self, returned: Matrix, shadowed: Matrix, took_ms: float) -> None:
        numbers, others = numbers_in(returned), numbers_in(shadowed)
        differences = np.abs(np.asarray(others, np.float64) - numbers)
        self.compared += 1
        alike = np.allclose(others, numbers, rtol=NEAR, atol=NEAR, equal_nan=True)
        self.alike += bool(alike and texts_in(returned) == texts_in(shadowed))
        self.differences += 0.0 if np.isnan(differences).all() else float(np.nanmean(differences))
        self.most = max(self.most, float(np.nanmax(differences, initial=0.0)))
        self.buckets[bucket_of(took_ms)] += 1


class Mirror:
    """`run` it as a task of its own; `cast` and `lift` say for which deployments there are shadows."""

    def __init__(self, models: Models) -> None:
        self._models, self._batcher = models, Batcher(workers=1)
        self._shadows: dict[str, Shadow] = {}
        self._changed: Callable[[], None] = _nobody
        self._waiting: asyncio.Queue[tuple[Shadow, Matrix, Matrix]] = asyncio.Queue(MOST_WAITING)

    def cast(self, deployment_id: str, ref: ModelRef) -> Shadow:
        """Copy a deployment's requests for this model from now on; the same again changes nothing."""
        known = self._shadows.get(deployment_id)
        if known is None or known.ref != ref:
            known = self._shadows[deployment_id] = Shadow(ref)
            self._changed()
        return known

    def lift(self, deployment_id: str) -> None:
        """Copy them no more."""
        if self._shadows.pop(deployment_id, None) is not None:
            self._changed()

    def shadows(self) -> list[tuple[str, Shadow]]:
        """All of them, by the ids of their deployments."""
        return list(self._shadows.items())

    def when_changed(self, changed: Callable[[], None]) -> None:
        """Have it told that a shadow was cast or lifted."""
        self._changed = changed

    def cast_all(self, wanted: Mapping[str, ModelRef]) -> None:
        """Have these shadows, and no others."""
        for deployment_id in [known for known in self._shadows if known not in wanted]:
            self.lift(deployment_id)
        for deployment_id, ref in wanted.items():
            self.cast(deployment_id, ref)

    def copies(self, deployment_id: str) -> bool:
        """Whether a deployment's requests are copied."""
        return deployment_id in self._shadows

    def digests(self) -> set[str]:
        """The models that must stay loaded."""
        return {shadow.ref.digest for shadow in self._shadows.values()}

    def offer(self, deployment_id: str, rows: Matrix, returned: Matrix) -> None:
        """A request, (rows, features), that was answered with (rows, outputs)."""
        shadow = self._shadows.get(deployment_id)
        if shadow is None:
            return
        try:
            self._waiting.put_nowait((shadow, rows, returned))
        except asyncio.QueueFull:
            shadow.dropped += 1

    async def run(self) -> None:
        """Ask the candidates, until cancelled."""
        try:
            while True:
                await self._ask(*await self._waiting.get())
        finally:
            await self._batcher.close()

    async def _ask(self, shadow: Shadow, rows: Matrix, returned: Matrix) -> None:
        began_s = perf_counter()
        try:
            model = self._models.loaded(shadow.ref) or await self._models.get(shadow.ref)
            shadowed = await batcher_of(model, self._batcher).predict(model, rows)
            shadow.add(returned, shadowed, (perf_counter() - began_s) * 1000)
        except (ModelogError, ValueError):
            # Whatever is wrong with the candidate is what the shadow is there to find out.
            shadow.failed += 1


def _nobody() -> None:
    """Nobody wants to know."""
