"""What only the running process knows of a deployment: whether its models are loaded, and what they answered."""

from __future__ import annotations

from collections.abc import Callable

from modelog_common.domain.errors import ModelogError
from modelog_proto.serving.v1 import deployment_pb2 as pb

from modelog_serving.crew.crew import Crew
from modelog_serving.routing.breaker import State
from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.guards import Guards
from modelog_serving.routing.routes import Route, Routes
from modelog_serving.routing.warmup import Warmup
from modelog_serving.routing.windows import TrafficWindows
from modelog_serving.traffic.events import VersionTraffic
from modelog_serving.worker.limits import TORCH_DEVICE

LOCAL, KUBERNETES = "local", "kubernetes"
_STATES = {
    State.CLOSED: pb.BREAKER_STATE_CLOSED,
    State.OPEN: pb.BREAKER_STATE_OPEN,
    State.HALF_OPEN: pb.BREAKER_STATE_HALF_OPEN,
}


class Live:
    """Looks at deployments in the present."""

    def __init__(
        self,
        routes: Routes,
        warmup: Warmup,
        counters: Counters,
        cache: AnswerCache,
        guards: Guards,
        windows: TrafficWindows,
        crew: Crew | None = None,
        replicas: str = LOCAL,
    ) -> None:
        """`replicas` says where deployments run, as serving's setting does."""
        self._routes, self._warmup, self._counters = routes, warmup, counters
        self._cache, self._guards, self._windows, self._crew = cache, guards, windows, crew
        self._has_gpus_to_give = replicas == KUBERNETES

    def seen(self, tenant: str, deployment: pb.Deployment, as_of: str = "") -> pb.Deployment:
        """The deployment with its counts and its state of loading; one of the past stays as it was."""
        if as_of:
            return deployment
        for variant in deployment.variants:
            variant.answered = self._counters.answered(tenant, deployment.name, variant.version)
        if deployment.HasField("caching"):
            deployment.caching.hits = self._cache.hits(tenant, deployment.name)
            deployment.caching.misses = self._cache.misses(tenant, deployment.name)
        try:
            route = self._routes.find(tenant, deployment.name)
        except ModelogError:  # it was stopped
            return deployment
        if deployment.HasField("resilience"):
            self._resilient(tenant, deployment, route)
        self._add_local(route, deployment)
        error = self._warmup.error(route)
        if error:
            deployment.status, deployment.error = pb.DEPLOYMENT_STATUS_FAILED, error
        elif self._warmup.missing(route):
            deployment.status = pb.DEPLOYMENT_STATUS_PENDING
        return deployment

    async def untold(
        self, tenant: str, deployment: str, reached: Callable[[], int]
    ) -> tuple[int, list[VersionTraffic]]:
        """A position, `reached` or later, and of the traffic what is no event by then, as this process measured it."""
        try:
            entity = self._routes.known(tenant, deployment).deployment.id
        except ModelogError:  # another process answers for it
            return reached(), []
        return await self._windows.untold(entity, reached)

    def _resilient(self, tenant: str, deployment: pb.Deployment, route: Route) -> None:
        told = deployment.resilience
        told.retried = self._guards.retried(tenant, deployment.name)
        told.fallbacks = self._guards.fallbacks(tenant, deployment.name)
        for seen in self._guards.breakers(route):
            told.breakers.add(version=seen.version, state=_STATES[seen.state], again_in_s=round(seen.again_in_s, 1))
        for slot in self._crew.slots if self._crew is not None else ():
            for broken in slot.breakers(route.deployment.id):
                if broken.version in route.variants:
                    told.breakers.add(
                        version=broken.version,
                        state=_STATES[broken.state],
                        again_in_s=round(broken.again_in_s, 1),
                        worker=slot.number,
                    )

    def _add_local(self, route: Route, deployment: pb.Deployment) -> None:
        """The worker processes, which answer for all deployments, and whether this one rests; where replicas run
        elsewhere, that is told of them.
        """
        rests, scaling = self._routes.rests(route), route.deployment.scaling
        in_vain = scaling is not None and scaling.gpus > 0 and not self._has_gpus_to_give
        elsewhere = deployment.HasField("replicas")
        if not (elsewhere or rests or in_vain or self._crew is not None):
            return
        if not elsewhere:
            wanted, ready = (1, 1) if self._crew is None else (self._crew.wanted, self._crew.listening)
            deployment.replicas.CopyFrom(pb.Replicas(backend=LOCAL, wanted=wanted, ready=ready))
        if in_vain:
            deployment.replicas.problems.append(
                f"GPUs are asked for in Kubernetes only; here models compute where {TORCH_DEVICE} says"
            )
        if elsewhere:
            return
        if rests:
            deployment.replicas.problems.append(
                "it rests: nobody asked for so long that its models were let go of; the next request loads them"
            )
        elif self._crew is not None and scaling is not None:
            most = len(self._crew.slots)
            if scaling.max_replicas > most:
                deployment.replicas.problems.append(
                    f"at most {most} worker processes are allowed here (MODELOG_SERVING_WORKERS)"
                )
