"""The model repository, as the protocol's extension has it: what is in memory and why not, and taking it in and out.

The log says which versions answer, and the files are the registry's: so loading is warming up, and a model is let go of
only while no traffic needs it. Whoever asks for it later gets it loaded again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_proto.serving.v1 import deployment_pb2

from modelog_serving.deployment.state import STOPPED
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.oip.core import Inference
from modelog_serving.oip.processes import Processes
from modelog_serving.routing.meter import Total
from modelog_serving.routing.routes import Route, Routes

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
# Sent by Triton's client with every unload; nothing depends on a model here.
IGNORED = "unload_dependents"
# What of an answer its caller may see.
Veil = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True)
class Indexed:
    """One version of a deployment's traffic."""

    name: str
    version: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Statistics:
    """One version's requests of traffic since serving started, and the rows that they had."""

    name: str
    version: str
    total: Total
    rows: int

    @property
    def last_ms(self) -> int:
        """When the last request was answered or failed, in milliseconds since 1970; 0 for never."""
        return round(self.total.last.timestamp() * 1000) if self.total.last is not None else 0


class Repository:
    """Looks at the running process, and has all of them load and let go."""

    def __init__(
        self, inference: Inference, routes: Routes, models: Models, processes: Processes, left_of: Veil
    ) -> None:
        self._inference, self._routes, self._models = inference, routes, models
        self._processes, self._left_of = processes, left_of

    async def index(self, tenant: str, *, only_ready: bool = False) -> list[Indexed]:
        """All versions that answer traffic, or did when their deployment was stopped."""
        found = [self._indexed(route, version) for route in await self._seen(tenant) for version in route.variants]
        return [one for one in found if one.state == READY or not only_ready]

    def _indexed(self, route: Route, version: str) -> Indexed:
        name = route.deployment.name
        if route.deployment.status == STOPPED:
            return Indexed(name, version, UNAVAILABLE, "the deployment was stopped")
        ref = route.ref(route.variants[version])
        if self._models.loaded(ref) is not None:
            return Indexed(name, version, READY)
        error = self._models.error(ref.digest)
        return Indexed(name, version, UNAVAILABLE, error) if error else Indexed(name, version, LOADING)

    async def load(self, tenant: str, name: str, version: str) -> None:
        """Have the models of a deployment's traffic, or of one version, in memory; raises why they cannot be."""
        for ref in await self._inference.refs(tenant, name, version):
            await self._processes.load(ref)

    async def unload(self, tenant: str, name: str, version: str) -> None:
        """Let go of a version's model, or of all of a stopped deployment; raises NotAllowed while one is needed."""
        route = self._routes.known(tenant, name)
        refs = await self._refs(route, version)
        for ref in refs:
            if ref.digest in self._routes.digests():
                raise NotAllowed(
                    f"{name} {version or ', '.join(route.variants)} answers traffic and stays in memory; it can be "
                    "unloaded when the deployment was stopped, or its traffic set to other versions"
                )
        await self._processes.drop(refs)

    async def _refs(self, route: Route, version: str) -> Sequence[ModelRef]:
        if route.deployment.status == STOPPED:
            return [route.ref(v) for v in route.variants.values() if version in ("", v.version)]
        return await self._inference.refs(route.tenant, route.deployment.name, version)

    async def statistics(self, tenant: str, name: str = "", version: str = "") -> list[Statistics]:
        """Of one deployment, or of all; raises NotFound."""
        routes = [self._routes.known(tenant, name)] if name else await self._seen(tenant)
        keys = [(tenant, r.deployment.name, v) for r in routes for v in r.variants if version in ("", v)]
        sums = await self._processes.sums(keys)
        return [Statistics(of, v, total, rows) for (_, of, v), (total, rows) in zip(keys, sums, strict=True)]

    async def _seen(self, tenant: str) -> list[Route]:
        """Those that the caller would find in a list of deployments."""
        routes = {route.deployment.name: route for route in self._routes.of(tenant)}
        listed = deployment_pb2.ListDeploymentsResponse(
            deployments=[
                deployment_pb2.Deployment(name=name, model=route.deployment.model) for name, route in routes.items()
            ]
        )
        return [routes[deployment.name] for deployment in (await self._left_of(listed)).deployments]


def version_of(repository: str, parameters: dict[str, Any]) -> str:
    """The version that a call to load or unload names; raises Invalid for what is not done here."""
    if repository:
        raise Invalid.field("repository_name", f"is {repository[:40]!r}; there is one repository, which has no name")
    for name in parameters:
        if name not in ("version", IGNORED):
            raise Invalid.field(
                f"parameters.{name[:40]}", "is not supported; what a model is, the registry says. Allowed is version"
            )
    version = parameters.get("version", "")
    if not isinstance(version, str):
        raise Invalid.field("parameters.version", f"{version!r} is not allowed; it must be a string")
    return version
