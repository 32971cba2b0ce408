"""Routes: every deployment as it is now, folded from the event store and kept in memory for the data plane."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_common.events.store import EventStore
from numpy.typing import NDArray

from modelog_serving.deployment.decide import DEPLOYMENTS
from modelog_serving.deployment.events import DeploymentEvent, ReplicasChanged
from modelog_serving.deployment.split import point_of, version_at
from modelog_serving.deployment.state import STOPPED, Deployment, Variant, evolve
from modelog_serving.engine.models import ModelRef
from modelog_serving.events import EVENTS
from modelog_serving.routing.only import Only

FOLLOW_S = 1.0


@dataclass(frozen=True)
class Route:
    """A deployment with what the data plane needs at every request."""

    tenant: str
    deployment: Deployment
    variants: dict[str, Variant]

    @property
    def needed(self) -> list[Variant]:
        """The variants whose models stay loaded: those that answer, or may instead, and that a rollback goes to."""
        others = [v for v in (self.deployment.previous, self._instead) if v and v.version not in self.variants]
        return [*self.variants.values(), *others]

    @property
    def fallback(self) -> ModelRef | None:
        """What must be loaded to answer for the version that answers instead of others; None without one."""
        variant = self._instead
        return None if variant is None else self.ref(variant)

    @property
    def _instead(self) -> Variant | None:
        setting = self.deployment.resilience
        if setting is None or setting.fallback is None or not setting.fallback.version:
            return None
        return Variant(setting.fallback.version, 0.0, setting.fallback.model_digest, setting.fallback.flavor)

    def ref(self, variant: Variant) -> ModelRef:
        """What must be loaded to answer for a variant.

        It was loaded when the traffic was set, as approved or not as it was then, and may be loaded again.
        """
        return ModelRef(variant.digest, variant.flavor, self.deployment.signature, approved=True)

    def drawn(self, key: str) -> Variant:
        """The variant that answers a key: always the same one while the split stays."""
        segments = self.deployment.segments
        if len(segments) == 1:
            return self.variants[segments[0].version]
        return self.variants[version_at(segments, point_of(self.deployment.id, key))]

    def drawn_all(self, keys: Sequence[str]) -> tuple[list[Variant], NDArray[np.uint8]]:
        """For many keys: the variants that answer, and for each key the index of its own."""
        answering = [self.variants[s.version] for s in self.deployment.segments]
        variants = list(dict.fromkeys(answering))
        if len(variants) == 1:
            return variants, np.zeros(len(keys), np.uint8)
        salt = self.deployment.id
        points = np.fromiter((point_of(salt, key) for key in keys), np.int64, len(keys))
        starts = np.array([s.start for s in self.deployment.segments])
        owner = np.array([variants.index(v) for v in answering], np.uint8)
        drawn = owner[np.searchsorted(starts, points, side="right") - 1]
        used = np.unique(drawn)
        renumbered = np.zeros(len(variants), np.uint8)
        renumbered[used] = np.arange(len(used), dtype=np.uint8)
        return [variants[n] for n in used], renumbered[drawn]


class Routes:
    """Follows this service's own events; `decided` is set by each that changes what is wanted, for who clears it.

    With `only` it knows of one deployment, or of one of its versions.
    """

    def __init__(self, store: EventStore, only: Only | None = None) -> None:
        self._store, self._only = store, only
        self._routes: dict[tuple[str, str], Route] = {}
        self._folded: dict[tuple[str, str], Deployment] = {}
        self.decided = asyncio.Event()
        # The ids of those that nobody asked for long: their models need not stay in memory.
        self.resting: frozenset[str] = frozenset()
        self._position = 0
        self._turn = asyncio.Lock()

    @property
    def position(self) -> int:
        """How far the log of events was followed."""
        return self._position

    def find(self, tenant: str, name: str) -> Route:
        """The running deployment with this name; raises NotFound, or NotAllowed when it was stopped."""
        route = self.known(tenant, name)
        if route.deployment.status == STOPPED:
            raise NotAllowed(f"deployment {name!r} was stopped; it answers no requests")
        return route

    def known(self, tenant: str, name: str) -> Route:
        """The deployment with this name, also if it was stopped; raises NotFound."""
        route = self._routes.get((tenant, name))
        if route is None:
            raise NotFound(f"there is no model or deployment {name!r}")
        return route

    def of(self, tenant: str) -> list[Route]:
        """All deployments of a tenant by their names, also those that were stopped."""
        return [route for (owner, _), route in sorted(self._routes.items()) if owner == tenant]

    def running(self) -> Iterable[Route]:
        """All deployments that are not stopped."""
        return [r for r in self._routes.values() if r.deployment.status != STOPPED]

    def digests(self) -> set[str]:
        """The models that traffic needs, and those that it may go back to at once."""
        return {v.digest for r in self.running() if not self.rests(r) for v in r.needed}

    def rests(self, route: Route) -> bool:
        """Whether its models are let go of until somebody asks."""
        return route.deployment.id in self.resting

    async def catch_up(self) -> None:
        """Take in everything that is in the store now."""
        async with self._turn:
            head = await self._store.head()
            async for stored in self._store.read_all(
                after=self._position, categories=[DEPLOYMENTS.category], until=head
            ):
                event: DeploymentEvent = EVENTS.decode(stored.type, stored.schema, stored.payload)
                key = (stored.tenant, event.name)
                if self._only is None or key == (self._only.tenant, self._only.name):
                    self._fold(key, event)
                    if not isinstance(event, ReplicasChanged):
                        self.decided.set()
                self._position = stored.position
            self._position = max(head, self._position)

    def _fold(self, key: tuple[str, str], event: DeploymentEvent) -> None:
        whole = self._folded[key] = evolve(self._folded.get(key) or DEPLOYMENTS.initial(), event)
        # A version that lost its part answers as before: until this process is stopped it may still be asked.
        deployment = self._only.narrowed(whole) if self._only else whole
        if deployment is not None:
            self._routes[key] = Route(key[0], deployment, {v.version: v for v in deployment.variants})
        elif key in self._routes:
            route = self._routes[key]
            self._routes[key] = replace(route, deployment=replace(route.deployment, status=whole.status))

    async def run(self) -> None:
        """Follow what other processes decide, until cancelled; this one's own commands call `catch_up` themselves."""
        while True:
            await self.catch_up()
            await asyncio.sleep(FOLLOW_S)
