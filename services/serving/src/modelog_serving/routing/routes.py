"""Routes: every deployment as it is now, folded from the event store and kept in memory for the data plane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

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
from modelog_serving.learning.decide import LEARNINGS
from modelog_serving.learning.events import LearningEvent, LearningSet, LearningStopped, ModelLearned
from modelog_serving.learning.state import Learning
from modelog_serving.routing.only import Only

FOLLOW_S = 1.0


@dataclass(frozen=True)
class Route:
    """A deployment with what the data plane needs at every request.

    Where a version has learned, its variant has the digest of the state that answers now; `registered` has those of the
    versions' own files.
    """

    tenant: str
    deployment: Deployment
    variants: dict[str, Variant]
    registered: dict[str, str] = field(default_factory=dict)
    learning: Learning = field(default_factory=Learning)

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
        own = self.registered.get(variant.version, variant.digest)
        learned_from = own if own != variant.digest else ""
        return ModelRef(variant.digest, variant.flavor, self.deployment.signature, True, learned_from)

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
        self._learned: dict[tuple[str, str], Learning] = {}
        self._left: Callable[[ModelRef], None] = lambda _ref: None
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

    def learning(self, tenant: str, name: str) -> Learning | None:
        """How a deployment learns; None where it never did."""
        return self._learned.get((tenant, name))

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

    def when_left(self, left: Callable[[ModelRef], None]) -> None:
        """Have it told which state of a model answers no more, because the model learned or was set back."""
        self._left = left

    async def catch_up(self) -> None:
        """Take in everything that is in the store now."""
        async with self._turn:
            head, categories = await self._store.head(), [DEPLOYMENTS.category, LEARNINGS.category]
            async for stored in self._store.read_all(after=self._position, categories=categories, until=head):
                event: DeploymentEvent | LearningEvent = EVENTS.decode(stored.type, stored.schema, stored.payload)
                key = (stored.tenant, event.name)
                if self._only is None or key == (self._only.tenant, self._only.name):
                    self._fold(key, event)
                self._position = stored.position
            self._position = max(head, self._position)

    def _fold(self, key: tuple[str, str], event: DeploymentEvent | LearningEvent) -> None:
        if isinstance(event, (LearningSet, ModelLearned, LearningStopped)):
            before = self._routes.get(key)
            self._learned[key] = LEARNINGS.evolve(self._learned.get(key) or LEARNINGS.initial(), event)
            self._lay(key)
            self._leave(key, before)
            return
        self._folded[key] = evolve(self._folded.get(key) or DEPLOYMENTS.initial(), event)
        self._lay(key)
        if not isinstance(event, ReplicasChanged):
            self.decided.set()

    def _lay(self, key: tuple[str, str]) -> None:
        whole = self._folded[key]
        # A version that lost its part answers as before: until this process is stopped it may still be asked.
        deployment = self._only.narrowed(whole) if self._only else whole
        if deployment is not None:
            registered = {v.version: v.digest for v in (*deployment.answered, *deployment.variants)}
            learning = self._learned.get(key) or LEARNINGS.initial()
            taught = replace(
                deployment,
                variants=_taught(deployment.variants, learning),
                answered=_taught(deployment.answered, learning),
            )
            self._routes[key] = Route(key[0], taught, {v.version: v for v in taught.variants}, registered, learning)
        elif key in self._routes:
            route = self._routes[key]
            self._routes[key] = replace(route, deployment=replace(route.deployment, status=whole.status))

    def _leave(self, key: tuple[str, str], before: Route | None) -> None:
        """Let go at once of the states that a step, or a way back, has replaced: there are many of them."""
        if before is not None:
            needed = self.digests()
            for variant in before.variants.values():
                if variant.digest not in needed:
                    self._left(before.ref(variant))

    async def run(self) -> None:
        """Follow what other processes decide, until cancelled; this one's own commands call `catch_up` themselves."""
        while True:
            await self.catch_up()
            await asyncio.sleep(FOLLOW_S)


def _taught(variants: tuple[Variant, ...], learning: Learning) -> tuple[Variant, ...]:
    """With the digests of what they have learned."""
    if not learning.taught:
        return variants
    return tuple(replace(v, digest=learning.digest(v.version, v.digest)) for v in variants)
