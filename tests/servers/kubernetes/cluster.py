"""A namespace of a real API server as somebody else than serving sees it, and the reconciler without its service."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.events.store import EventStore
from modelog_serving.deployment.commands import Candidate, Create, DeploymentCommand, SetTraffic, Share
from modelog_serving.deployment.decide import DEPLOYMENTS, deployment_id
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import Deployment
from modelog_serving.events import EVENTS
from modelog_serving.kubernetes.api import Api
from modelog_serving.kubernetes.kinds import DEPLOYMENT, POD, Kind, Object
from modelog_serving.kubernetes.names import name_of
from modelog_serving.kubernetes.pods import template_of
from modelog_serving.kubernetes.reconciler import Reconciler
from modelog_serving.kubernetes.settings import KubernetesSettings
from modelog_serving.routing.routes import Routes
from real_servers import KubernetesServer

PATIENCE_S = 150.0
TENANT = "acme"
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 1), ("wind",), ("numeric",)),), (TensorSpec("y", "FP32", (-1,)),))
V1 = Candidate("flight-delay", "1.0.0", "a" * 64, "xgboost", SIGNATURE, "staging", True)
V2 = Candidate("flight-delay", "1.1.0", "b" * 64, "xgboost", SIGNATURE, "staging", True)
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


class Cluster:
    """The administrator's view of one namespace; `path` of a kind is the API's own."""

    def __init__(self, server: KubernetesServer, namespace: str = "") -> None:
        self.server = server
        self.namespace = namespace or f"test-{secrets.token_hex(4)}"
        if not namespace:
            self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})

    def ask(self, method: str, path: str, body: Any = None, form: str = "application/json") -> Any:
        """One request; raises HTTPError."""
        headers = {"authorization": f"Bearer {self.server.site.password}", "content-type": form}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}{path}", data, headers, method=method)  # noqa: S310
        trust = ssl.create_default_context(cafile=str(self.server.authority))
        with urllib.request.urlopen(request, context=trust, timeout=PATIENCE_S) as answer:  # noqa: S310
            return json.load(answer)

    def every(self, kind: Kind) -> dict[str, Object]:
        return {o["metadata"]["name"]: o for o in self.ask("GET", kind.path(self.namespace))["items"]}

    def get(self, kind: Kind, name: str) -> Object | None:
        return self.every(kind).get(name)

    def edit(self, kind: Kind, name: str, changes: Mapping[str, Any]) -> None:
        """As `kubectl patch` does it."""
        path = kind.path(self.namespace, name)
        self.ask("PATCH", f"{path}?fieldManager=somebody", changes, "application/merge-patch+json")

    def say_of_pods(self, status: Mapping[str, Any], owner: str = "") -> None:
        """What a kubelet would say of every pod, or of those of one Deployment."""
        for name in self.every(POD):
            if name.startswith(owner):
                path = f"{POD.path(self.namespace, name)}/status"
                self.ask("PATCH", path, {"status": status}, "application/merge-patch+json")

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """Wait for the cluster's own controllers."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    found = condition()
                    if found if isinstance(found, bool) else await found:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE_S:g} s for this, in vain: {what}") from None

    async def pods(self, count: int) -> None:
        await self.until(lambda: len(self.every(POD)) == count, f"{count} pods in {self.namespace}")


def refused(error: urllib.error.HTTPError) -> str:
    return str(json.load(error)["message"])


@dataclass
class World:
    """Deployments in a log of their own, and the reconciler that makes them objects of a cluster."""

    cluster: Cluster
    store: EventStore
    folder: Path
    settings: KubernetesSettings

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.entities: Any = Entities(self.store, DEPLOYMENTS, EVENTS)
        self.routes = Routes(self.store)

    @property
    def reconciler(self) -> Reconciler:
        template = template_of(self.settings, Settings(data_dir=self.folder))
        return Reconciler(self.routes, self.entities, template, self.settings, self.clock)

    def with_(self, **changes: Any) -> World:
        """The same log and cluster with other settings."""
        changed = self.settings.changed(**changes)
        return World(self.cluster, self.store, self.folder, changed)

    async def do(self, command: DeploymentCommand) -> Deployment:
        ctx = Context(self.clock.now(), "alice", TENANT, str(uuid7()))
        handled = await self.entities.handle(deployment_id(TENANT, command.name), command, ctx)
        state: Deployment = handled.state
        return state

    async def deploy(self, name: str = "flights") -> Deployment:
        return await self.do(Create(name, "dev", V1))

    async def split(self, first: float, name: str = "flights") -> Deployment:
        return await self.do(SetTraffic(name, (Share(V1, first), Share(V2, 100 - first))))

    async def round(self) -> None:
        """One round of the reconciler."""
        async with Api(self.settings) as api:
            await self.reconciler.once(api)

    async def seen(self, name: str = "flights") -> Deployment:
        state: Deployment = (await self.entities.load(deployment_id(TENANT, name))).state
        return state

    async def named(self, version: str = "") -> str:
        return name_of(await self.seen(), version)

    async def settled(self, ready: int) -> None:
        """Rounds until so many replicas are told to be ready."""

        async def told() -> bool:
            await self.round()
            replicas = (await self.seen()).replicas
            return replicas is not None and replicas.ready == ready

        await self.cluster.until(told, f"{ready} replicas are ready")

    def live(self, name: str) -> Object:
        found = self.cluster.get(DEPLOYMENT, name)
        assert found is not None, f"there is no Deployment {name}"
        return found
