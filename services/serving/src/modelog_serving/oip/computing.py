"""The outputs for a request's rows: from the version that it is for, from the cache, or from what stands in for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from modelog_common.domain.errors import ModelogError

from modelog_serving.deployment.resilience import DEFAULT_ANSWER, Fallback
from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.failed import ModelDied, ModelFailed
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.engine.runtime import Matrix
from modelog_serving.predlog.answers import Answerer
from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.guards import Computed, Guards, NotAsked, is_failure
from modelog_serving.routing.routes import Route

BREAKER_OPEN, NOT_LOADED, FAILED = "breaker_open", "not_loaded", "failed"


@dataclass(frozen=True)
class Target:
    """The version that a request is for, and whether it is traffic's."""

    version: str
    ref: ModelRef
    logged: bool


@dataclass(frozen=True)
class Answered:
    """What was computed, and what answered; where that is not what the request was for, `fallback` says why."""

    computed: Computed
    answerer: Answerer
    fallback: str = ""


class Computing:
    """Asks models."""

    def __init__(self, models: Models, batcher: Batcher, cache: AnswerCache, guards: Guards) -> None:
        self._models, self._batcher, self._cache, self._guards = models, batcher, cache, guards

    async def answer(
        self, route: Route, target: Target, matrix: Matrix, *, explained: bool, private: bool = False
    ) -> Answered:
        """Outputs for (rows, features); raises what the target's model, or loading it, raised.

        Of what is `private` nothing is kept for others, and not told what a model said of it: errors become events.
        """
        compute = partial(self._computed, route, target, matrix, explained=explained, private=private)
        if not target.logged or route.deployment.resilience is None:
            return Answered(await compute(), Answerer(target.version, target.ref.digest))
        try:
            found = await self._guards.answer(route, target.version, compute)
        except Exception as error:
            fallback = route.deployment.resilience.fallback
            if fallback is None or not is_failure(error):
                raise
            instead = await self._instead(route, target, matrix, fallback, explained=explained, private=private)
            if instead is None:
                raise
            why = BREAKER_OPEN if isinstance(error, NotAsked) else FAILED
            if why == FAILED and self._models.loaded(target.ref) is None:
                why = NOT_LOADED
            self._guards.fell_back(route, target.version, why)
            return replace(instead, fallback=why)
        return Answered(found, Answerer(target.version, target.ref.digest))

    async def _instead(
        self, route: Route, target: Target, matrix: Matrix, fallback: Fallback, *, explained: bool, private: bool
    ) -> Answered | None:
        """What the fallback answers, None for nothing; a default answer cannot be explained."""
        ref = route.fallback
        if ref is not None and fallback.version != target.version:
            other = Target(fallback.version, ref, logged=True)
            try:
                found = await self._computed(route, other, matrix, explained=explained, private=private)
            except Exception as error:
                if not is_failure(error):
                    raise
            else:
                return Answered(found, Answerer(other.version, ref.digest))
        if not fallback.outputs or explained:
            return None
        outputs = np.tile(np.array(fallback.default_row, np.float64), (len(matrix), 1))
        return Answered(Computed(outputs, False, None), Answerer(DEFAULT_ANSWER, fallback.default_digest))

    async def _computed(
        self, route: Route, target: Target, matrix: Matrix, *, explained: bool, private: bool
    ) -> Computed:
        model = self._models.loaded(target.ref) or await self._models.get(target.ref)
        compute = partial(batcher_of(model, self._batcher).predict, model, matrix)
        if private:
            return Computed(await _untold(compute), False, model)
        if not target.logged or explained:
            return Computed(await compute(), False, model)
        outputs, cached = await self._cache.answer(route, target.version, target.ref, matrix, compute)
        return Computed(outputs, cached, model)


async def _untold(compute: Callable[[], Awaitable[Matrix]]) -> Matrix:
    """What a model's code raises may repeat what it was asked."""
    try:
        return await compute()
    except ModelDied:
        raise
    except Exception as error:
        if isinstance(error, ModelogError) and not isinstance(error, ModelFailed):
            raise
        raise ModelFailed("the model failed; what it said is not told, since the request names a subject") from None
