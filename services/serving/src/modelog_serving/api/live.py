"""What only the running process knows of a deployment: whether its models are loaded, and what they answered."""

from __future__ import annotations

from modelog_common.domain.errors import ModelogError
from modelog_proto.serving.v1 import deployment_pb2 as pb

from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.routes import Routes
from modelog_serving.routing.warmup import Warmup


class Live:
    """Looks at deployments in the present."""

    def __init__(self, routes: Routes, warmup: Warmup, counters: Counters, cache: AnswerCache) -> None:
        self._routes, self._warmup, self._counters, self._cache = routes, warmup, counters, cache

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
        error = self._warmup.error(route)
        if error:
            deployment.status, deployment.error = pb.DEPLOYMENT_STATUS_FAILED, error
        elif self._warmup.missing(route):
            deployment.status = pb.DEPLOYMENT_STATUS_PENDING
        return deployment
