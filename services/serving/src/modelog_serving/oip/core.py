"""The data plane's core: from a request's tensors to logged answers, for every edge."""

from __future__ import annotations

import asyncio
from typing import Protocol

import numpy as np
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import Invalid, ModelogError, NotFound
from modelog_common.domain.ids import uuid7
from modelog_common.domain.semver import SemanticVersion

from modelog_serving.deployment.commands import Candidate
from modelog_serving.deployment.signature import unservable
from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.explain import Explanation, Wanted, explained
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.oip.asked import Described, Request, Response, check, check_answerer, check_texts
from modelog_serving.oip.computing import Computing, Target
from modelog_serving.oip.explaining import tensors_of
from modelog_serving.oip.tensors import matrix_of, outputs_of
from modelog_serving.predlog.answers import Answerer, Answers
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.personal import PersonalTexts
from modelog_serving.predlog.writer import micros
from modelog_serving.releasing.mirror import Mirror
from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.guards import Guards
from modelog_serving.routing.meter import Measured, Meter
from modelog_serving.routing.routes import Route, Routes

_ONE = np.zeros(1, np.uint8)


class Versions(Protocol):
    """Asks the registry about model versions."""

    async def get(self, model: str, version: str) -> Candidate:
        """A version as it is now; raises NotFound, or Unavailable when the registry does not answer."""
        ...


class Inference:
    """Answers requests."""

    def __init__(
        self,
        routes: Routes,
        models: Models,
        batcher: Batcher,
        log: PredictionLog,
        versions: Versions,
        counters: Counters,
        meter: Meter,
        mirror: Mirror,
        cache: AnswerCache,
        guards: Guards,
        personal: PersonalTexts,
        clock: Clock,
    ) -> None:
        self._mirror, self._guards, self._personal = mirror, guards, personal
        self._computing = Computing(models, batcher, cache, guards)
        self._routes, self._models, self._batcher, self._log = routes, models, batcher, log
        self._versions, self._counters, self._meter, self._clock = versions, counters, meter, clock
        self._given: dict[tuple[str, str, str], ModelRef] = {}
        self._explaining = asyncio.Semaphore(1)

    def plain(self, route: Route) -> bool:
        """Whether nothing comes of a deployment's requests but answers, each computed, and the log of them.

        Then they may be answered on the short way (`oip.fast`), which knows of nothing else. What fails there comes
        here, where a deployment's breakers count it: what succeeds was counted already.
        """
        of = route.deployment
        return of.caching is None and self._guards.calm(route) and not self._mirror.copies(of.id)

    async def infer(self, tenant: str, request: Request) -> Response:
        """Answer one request; an answer to traffic is in the log before this returns.

        Raises NotFound, Invalid, NotAllowed or Unavailable, which name what is wrong and what is expected.
        """
        check(request)
        route = self._routes.find(tenant, request.deployment)
        request_id = request.prediction_id or str(uuid7())
        key = request.key or request.prediction_id or request.id or request_id
        target = await self._target(route, request.version, key)
        if not target.logged:
            return await self._answer(route, request, request_id, key, target, Measured())
        with self._meter.measuring(route, target.version) as measured:
            return await self._answer(route, request, request_id, key, target, measured)

    async def _answer(
        self, route: Route, request: Request, request_id: str, key: str, target: Target, measured: Measured
    ) -> Response:
        check_texts(request, target.ref.signature.texts)
        matrix = matrix_of(target.ref.signature, request.inputs)
        outputs_of(target.ref.signature, np.empty((0, target.ref.signature.output_width), np.float32), request.outputs)
        kept, subject = matrix, request.subject if target.logged else ""
        if subject:
            # First, so that nothing is computed of who was erased.
            names = route.deployment.signature.features
            kept = await self._personal.sealed_features(route.tenant, subject, names, matrix)
        found = await self._computing.answer(
            route, target, matrix, explained=request.explain is not None, private=bool(request.subject)
        )
        measured.failed = bool(found.fallback)
        outputs, cached = found.computed.outputs, found.computed.cached
        answerer, ids = found.answerer, list[str]()
        if target.logged:
            ids = [request_id] if len(matrix) == 1 else [f"{request_id}.{row}" for row in range(len(matrix))]
            given = await self._personal.sealed_outputs(route.tenant, subject, outputs) if subject else outputs
            answers = self._answers(route, request, key, ids, answerer, kept, given)
            before = await self._log.append(answers)
            if before is None:
                self._counters.add(route.tenant, request.deployment, answerer.version, len(matrix))
                if not found.fallback:
                    self._mirror.offer(route.deployment.id, matrix, outputs)
            else:
                answerer, outputs, cached = before[0].answerer, await self._personal.outputs_of(before), False
        tensors = outputs_of(target.ref.signature, outputs, request.outputs)
        explanation = None
        if request.explain is not None and found.computed.model is not None:
            check_answerer(answerer, found.answerer)
            explanation = await self._explained(found.computed.model, matrix, request.explain)
            tensors += tensors_of(explanation)
        told = (request.deployment, request.id, answerer.version, answerer.digest, ids, tensors)
        # What was answered before may have been answered by something else than what would answer now.
        instead_of = target.version if found.fallback and answerer == found.answerer else ""
        return Response(*told, explanation, cached, found.fallback if instead_of else "", instead_of)

    async def _explained(self, model: Model, matrix: Matrix, wanted: Wanted) -> Explanation:
        """One at a time: each asks the model many times, and others wait for answers meanwhile."""
        batcher = batcher_of(model, self._batcher)
        async with self._explaining:
            return await explained(model, matrix, wanted, batcher.predict_alone)

    async def _target(self, route: Route, version: str, key: str) -> Target:
        if not version:
            variant = route.drawn(key)
            return Target(variant.version, route.ref(variant), logged=True)
        return Target(version, await self._ref_of(route, version), logged=False)

    async def _ref_of(self, route: Route, version: str) -> ModelRef:
        """What answers for a given version of the deployment's model: traffic's own, or any that the registry has."""
        variant = route.variants.get(version)
        if variant is not None:
            return route.ref(variant)
        deployment = route.deployment
        key = (route.tenant, deployment.model, version)
        if key not in self._given:
            try:
                SemanticVersion.parse(version, "model_version")
            except Invalid as error:
                raise NotFound(str(error)) from None
            candidate = await self._versions.get(deployment.model, version)
            problem = unservable(candidate.signature)
            if problem:
                raise NotFound(f"{deployment.model} {version} cannot be served: {problem}")
            ref = ModelRef(candidate.digest, candidate.flavor, candidate.signature, candidate.vouched)
            if self._models.loaded(ref) is None:
                # Until it is loaded it may be approved: then it is asked for again.
                return ref
            self._given[key] = ref
        return self._given[key]

    def _answers(
        self,
        route: Route,
        request: Request,
        key: str,
        ids: list[str],
        answerer: Answerer,
        features: Matrix,
        outputs: Matrix,
    ) -> Answers:
        rows = len(ids)
        return Answers(
            tenant=route.tenant,
            deployment=request.deployment,
            model=route.deployment.model,
            ids=ids,
            event_times_us=[request.event_time_us or micros(self._clock.now())] * rows,
            keys=() if rows == 1 and key == ids[0] else [key] * rows,
            answerers=[answerer],
            answered_by=_ONE if rows == 1 else np.zeros(rows, np.uint8),
            feature_names=route.deployment.signature.features,
            features=features,
            outputs=outputs,
            given_ids=bool(request.prediction_id),
            sealed=bool(request.subject),
        )

    async def refs(self, tenant: str, name: str, version: str = "") -> list[ModelRef]:
        """What must be in memory to answer for a deployment's traffic, or for one version; raises NotFound."""
        route = self._routes.find(tenant, name)
        return [await self._ref_of(route, version)] if version else [route.ref(v) for v in route.variants.values()]

    async def describe(self, tenant: str, name: str, version: str = "") -> Described:
        """What a deployment takes and gives; raises NotFound."""
        route = self._routes.find(tenant, name)
        deployment = route.deployment
        if version:
            ref = await self._ref_of(route, version)
            return Described(name, deployment.model, [version], ref.flavor, ref.signature)
        flavor = deployment.variants[0].flavor
        return Described(name, deployment.model, list(route.variants), flavor, deployment.signature)

    async def ready(self, tenant: str, name: str, version: str = "") -> bool:
        """Whether requests are answered at once: the models are in memory, or rest and are loaded by the next one. A
        given version is loaded by asking.

        Raises NotFound.
        """
        route = self._routes.find(tenant, name)
        if version:
            ref = await self._ref_of(route, version)
            return await self._is_loaded(ref)
        loaded = all(self._models.loaded(route.ref(v)) is not None for v in route.variants.values())
        return loaded or self._routes.rests(route)

    async def _is_loaded(self, ref: ModelRef) -> bool:
        try:
            await self._models.get(ref)
        except ModelogError:
            return False
        return True
