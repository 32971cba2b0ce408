"""Keeps the applications on Ray Serve as the log wants them: as many replicas as are needed, none that nobody needs;
and tells the log what becomes of them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import ModelogError, Unavailable
from modelog_common.domain.ids import uuid7

from modelog_serving.control import DeploymentEntities
from modelog_serving.crew.scaling import Steering
from modelog_serving.deployment.commands import SeeReplicas
from modelog_serving.deployment.state import Replicas, Variant
from modelog_serving.engine.composite import members_of
from modelog_serving.engine.models import Models
from modelog_serving.engine.runtime import Model
from modelog_serving.rayserve.cluster import Application
from modelog_serving.rayserve.remote import OnRay, RayRuntimes
from modelog_serving.routing.loads import Loads
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route, Routes
from modelog_serving.routing.warmup import Warmup

BACKEND = "ray"
ACTOR = "service:serving"
LOOK_S = 1.0
MOST_PROBLEMS, LONGEST = 5, 400
RESTS = "it rests: nobody asked for so long that its replicas were taken away; the next request has them made again"
log = structlog.get_logger()


class Keeper:
    """`run` it as a task of its own; `look` is one round. A model that no traffic needs keeps its replicas for
    `unused_s` after it was asked."""

    def __init__(
        self,
        runtimes: RayRuntimes,
        models: Models,
        routes: Routes,
        warmup: Warmup,
        meter: Meter,
        entities: DeploymentEntities,
        unused_s: float,
        clock: Clock,
        timer_s: Callable[[], float] = monotonic,
    ) -> None:
        self._cluster, self._runtimes, self._models, self._routes = runtimes.cluster, runtimes, models, routes
        self._warmup, self._entities, self._clock = warmup, entities, clock
        self._unused_s, self._timer_s = unused_s, timer_s
        self._loads = Loads(meter, timer_s)
        self._steering: dict[tuple[str, str], Steering] = {}
        self._said = ""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._routes.decided.clear()
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._routes.decided.wait(), LOOK_S)

    async def look(self) -> None:
        """One round; what fails is tried again by the next."""
        try:
            await self._look()
        except ModelogError as error:
            if str(error) != self._said:
                log.warning("replicas on Ray Serve are not as decided; tried again", every_s=LOOK_S, why=str(error))
            self._said = str(error)
        else:
            self._said = ""

    async def _look(self) -> None:
        await self._routes.catch_up()
        self._let_go()
        try:
            found = await asyncio.to_thread(self._cluster.applications)
        except Unavailable as error:
            # Their handles lead to a cluster that is gone: whoever asks has them made anew.
            for ref in self._models.every():
                self._models.drop(ref)
            await self._tell({}, str(error))
            raise
        for model in self._runtimes.alive():
            model.have(found[model.name].ready if model.name in found else 0)
        for name, replicas in self._replicas().items():
            if name in found and found[name].state != "DELETING":
                await asyncio.to_thread(self._cluster.scale, name, replicas)
        await self._tell(found, "")
        if self._warmup.ready:
            await self._delete(found)

    def _let_go(self) -> None:
        """Of models that no traffic needs, and nobody asked for lately."""
        now_s = self._timer_s()
        for ref in self._models.unneeded():
            model = self._models.loaded(ref)
            if model is not None and all(now_s - m.used_s >= self._unused_s for m in _on_ray(model)):
                self._models.drop(ref)

    async def _delete(self, found: dict[str, Application]) -> None:
        models = [self._models.loaded(ref) for ref in self._models.every()]
        if found.keys() - {m.name for model in models if model is not None for m in _on_ray(model)}:
            # What was let go of may be held by a cycle still, such as that of the task which loaded it.
            del models
            gc.collect()
        gone = [n for n, of in found.items() if of.state != "DELETING" and not self._runtimes.keeps(n)]
        if gone:
            await asyncio.to_thread(self._cluster.delete, gone, self._runtimes.keeps)

    def _replicas(self) -> dict[str, int]:
        """How many each application should have: as many as the deployment wants that wants most."""
        now_s, wanted = self._loads.begin(), dict[str, int]()
        steered = set()
        for route in self._routes.running():
            for variant in route.needed:
                key = route.deployment.id, variant.version
                seen = self._loads.seen(route, variant.version)
                scaling, number = route.deployment.scaling, 1
                on_ray = self._on_ray(route, variant)
                if scaling is not None and variant.version in route.deployment.split and on_ray:
                    steered.add(key)
                    steering = self._steering.get(key)
                    if steering is None:
                        steering = self._steering[key] = Steering(scaling.min_replicas, now_s)
                    running = max(1, self._cluster.wanted(on_ray[0].name))
                    number = steering.look(scaling, seen, running, now_s)
                for model in on_ray:
                    wanted[model.name] = max(number, wanted.get(model.name, 1))
        self._steering = {key: steering for key, steering in self._steering.items() if key in steered}
        return wanted

    def _on_ray(self, route: Route, variant: Variant) -> list[OnRay]:
        model = self._models.loaded(route.ref(variant))
        return [] if model is None else _on_ray(model)

    async def _tell(self, found: dict[str, Application], problem: str) -> None:
        for route in self._routes.running():
            seen = self._seen(route, found, problem)
            if route.deployment.replicas != seen:
                command = SeeReplicas(route.deployment.name, seen.backend, seen.wanted, seen.ready, seen.problems)
                ctx = Context(self._clock.now(), ACTOR, route.tenant, str(uuid7()))
                await self._entities.handle(route.deployment.id, command, ctx)

    def _seen(self, route: Route, found: dict[str, Application], problem: str) -> Replicas:
        if self._routes.rests(route):
            return Replicas(BACKEND, 0, 0, (RESTS,))
        problems = [problem] if problem else []
        wanted = ready = 0
        for variant in route.needed:
            applications = [found[m.name] for m in self._on_ray(route, variant) if m.name in found]
            if not applications:
                wanted += 1
                why = self._models.error(variant.digest)
                problems += [f"{variant.version}: {why}"] if why else []
            for application in applications:
                wanted += self._cluster.wanted(application.name)
                ready += application.ready
                said = application.problem
                problems += [f"{variant.version}: {said}"] if said else []
        return Replicas(
            BACKEND, wanted, ready, tuple(text[:LONGEST] for text in dict.fromkeys(problems))[:MOST_PROBLEMS]
        )


def _on_ray(model: Model) -> list[OnRay]:
    """The model itself, or the members of an ensemble or a chain."""
    return [each for each in members_of(model) if isinstance(each, OnRay)]
