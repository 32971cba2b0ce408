"""Makes the cluster be as the log says, again and again, and tells the log what became of it.

One round: list what is there, apply what differs, delete what is no longer wanted, look at the pods. A round that is
cut off anywhere is done again by the next one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Forbidden, ModelogError, NotFound, Unavailable
from modelog_common.domain.ids import uuid7

from modelog_serving.control import DeploymentEntities
from modelog_serving.deployment.commands import SeeReplicas
from modelog_serving.deployment.state import Replicas
from modelog_serving.kubernetes import compare, status
from modelog_serving.kubernetes.api import Api
from modelog_serving.kubernetes.kinds import BY_NAME, DEPLOYMENT, KINDS, POD, Kind, Object
from modelog_serving.kubernetes.names import DEPLOYMENT_ID, name_of, selector
from modelog_serving.kubernetes.objects import objects
from modelog_serving.kubernetes.scaling import to_zero
from modelog_serving.kubernetes.settings import KubernetesSettings
from modelog_serving.routing.routes import Route, Routes

ACTOR = "service:serving"
AT_ONCE = 8
APPLIED = "modelog/applied"
ROUTES = ("HTTPRoute", "GRPCRoute")
log = structlog.get_logger()


@dataclass
class _Cluster:
    """What one round found: our objects by kind and name, the pods, and the kinds that cannot be used and why."""

    live: dict[str, dict[str, Object]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    pods: list[Object] = field(default_factory=list)


class Reconciler:
    """`run` it as a task of its own; `once` is one round."""

    def __init__(
        self,
        routes: Routes,
        entities: DeploymentEntities,
        template: Object,
        settings: KubernetesSettings,
        clock: Clock,
    ) -> None:
        self._routes, self._entities, self._clock = routes, entities, clock
        self._template, self._settings = template, settings
        self._said = ""
        self._applied_as: dict[tuple[str, str], str] = {}

    async def run(self) -> None:
        """Until cancelled: whenever something was decided, and every `resync_s` for what others did to the objects."""
        async with Api(self._settings) as api:
            while True:
                self._routes.decided.clear()
                await self._round(api)
                await self._changed()

    async def _round(self, api: Api) -> None:
        try:
            await self.once(api)
        except* ModelogError as group:
            said = "; ".join(sorted({str(error) for error in group.exceptions}))
            if said != self._said:
                log.warning("replicas are not as decided; tried again", every_s=self._settings.resync_s, why=said)
            self._said = said
        else:
            if self._said:
                log.info("replicas are as decided again")
            self._said = ""

    async def _changed(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.resync_s):
                await self._routes.decided.wait()

    async def once(self, api: Api) -> None:
        """One round."""
        await self._routes.catch_up()
        cluster = await self._look(api)
        routes = list(self._routes.running())
        wanted: set[tuple[str, str]] = set()
        held: set[str] = set()
        limit = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for route in routes:
                made = objects(route.tenant, route.deployment, self._template, self._settings)
                wanted.update((o["kind"], o["metadata"]["name"]) for o in made)
                if self._waits(route, cluster):
                    held.add(route.deployment.id)
                    made = [o for o in made if o["kind"] not in ROUTES]
                group.create_task(self._settle(api, route, made, cluster, limit))
        await self._delete(api, cluster, wanted, held)

    async def _look(self, api: Api) -> _Cluster:
        cluster, ours = _Cluster(), selector(self._settings)
        for kind in KINDS:
            try:
                cluster.live[kind.name] = {o["metadata"]["name"]: o for o in await api.every(kind, ours)}
            except NotFound:
                lacks = f"the cluster has no {kind.name} ({kind.api_version})"
                cluster.missing[kind.name] = f"{lacks}: install {kind.extension or 'a newer Kubernetes'}"
            except Forbidden as error:
                cluster.missing[kind.name] = str(error)
        try:
            cluster.pods = await api.every(POD, ours)
        except Forbidden as error:
            cluster.missing[POD.name] = str(error)
        return cluster

    def _waits(self, route: Route, cluster: _Cluster) -> bool:
        """Whether versions that run apart must become ready first: until then the old ones keep their traffic."""
        if self._settings.variants != "apart":
            return False
        live = cluster.live.get(DEPLOYMENT.name, {})
        names = {name_of(route.deployment, v.version) for v in route.deployment.variants if v.percent}
        others = [o for o in live.values() if _about(o) == route.deployment.id]
        served = {o["metadata"]["name"] for o in others if o.get("status", {}).get("readyReplicas", 0)}
        asleep = {o["metadata"]["name"] for o in others if not o["spec"].get("replicas", 1)}
        return bool(served) and not names <= served | asleep

    async def _settle(
        self, api: Api, route: Route, made: Iterable[Object], cluster: _Cluster, limit: asyncio.Semaphore
    ) -> None:
        """Apply what differs, and tell what is seen. One object that is refused keeps no other from being applied."""
        notes: list[str] = []
        now: list[Object] = []
        async with limit:
            for wanted in made:
                kind = BY_NAME[wanted["kind"]]
                if kind.name in cluster.missing:
                    notes.append(cluster.missing[kind.name])
                    continue
                try:
                    live = await self._applied(api, kind, wanted, route, cluster)
                except Unavailable:
                    raise
                except ModelogError as error:
                    notes.append(str(error))
                    continue
                if kind is DEPLOYMENT:
                    now.append(live)
        scaling = route.deployment.scaling
        if scaling and scaling.scale_to_zero and not to_zero(scaling, self._settings):
            notes.append(
                "one replica stays: scaling to zero needs MODELOG_KUBERNETES_SCALER=keda and "
                "MODELOG_KUBERNETES_ACTIVATION_QUERY, which sees requests that no pod answers"
            )
        if POD.name in cluster.missing:
            notes.append(cluster.missing[POD.name])
        pods = [pod for pod in cluster.pods if _about(pod) == route.deployment.id]
        await self._tell(route, status.seen(now, pods, notes))

    async def _applied(self, api: Api, kind: Kind, wanted: Object, route: Route, cluster: _Cluster) -> Object:
        name = wanted["metadata"]["name"]
        live = cluster.live[kind.name].get(name)
        if live is None:
            live = await api.get(kind, name)
            if live is not None and not compare.ours(live, self._settings.installation):
                raise Conflict(f"there is a {kind.name} {name} that Modelog did not make; it is left as it is")
        scaling = route.deployment.scaling
        if kind is DEPLOYMENT and scaling is not None:
            least = 0 if to_zero(scaling, self._settings) else scaling.min_replicas
            kept = compare.replicas_to_keep(live, scaling, least)
            if kept is not None:
                wanted["spec"]["replicas"] = kept
        # What is no longer wanted in an object shows by this alone.
        wanted["metadata"]["annotations"] |= {APPLIED: sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()}
        if live is not None and (compare.holds(live, wanted) or self._as_applied(kind, live, wanted)):
            return live
        applied = await api.apply(kind, wanted)
        if live is None or live["metadata"]["resourceVersion"] != applied["metadata"]["resourceVersion"]:
            log.info("applied", kind=kind.name, name=name, deployment=route.deployment.name)
        self._applied_as[kind.name, name] = applied["metadata"]["resourceVersion"]
        return applied

    def _as_applied(self, kind: Kind, live: Object, wanted: Object) -> bool:
        """Whether nobody touched what was applied, though the API spells it in another way than it was asked for."""
        about = live["metadata"]
        same: bool = about.get("annotations", {}).get(APPLIED) == wanted["metadata"]["annotations"][APPLIED]
        return same and self._applied_as.get((kind.name, about["name"])) == about["resourceVersion"]

    async def _delete(self, api: Api, cluster: _Cluster, wanted: set[tuple[str, str]], held: set[str]) -> None:
        """What others need goes last."""
        for kind in reversed(KINDS):
            for name, live in cluster.live.get(kind.name, {}).items():
                if (kind.name, name) not in wanted and _about(live) not in held:
                    log.info("deleted", kind=kind.name, name=name)
                    await api.delete(kind, live)

    async def _tell(self, route: Route, found: Replicas) -> None:
        if route.deployment.replicas == found:
            return
        command = SeeReplicas(route.deployment.name, found.backend, found.wanted, found.ready, found.problems)
        ctx = Context(self._clock.now(), ACTOR, route.tenant, str(uuid7()))
        await self._entities.handle(route.deployment.id, command, ctx)


def _about(live: Object) -> str:
    labels: Mapping[str, str] = live["metadata"].get("labels") or {}
    return labels.get(DEPLOYMENT_ID, "")
