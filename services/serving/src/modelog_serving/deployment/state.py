"""What a deployment is, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never

from modelog_serving.deployment.caching import Caching
from modelog_serving.deployment.events import (
    CachingSet,
    DeploymentCreated,
    DeploymentEvent,
    DeploymentStopped,
    ReplicasChanged,
    ResilienceSet,
    ScalingSet,
    TrafficSet,
)
from modelog_serving.deployment.resilience import Resilience
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature
from modelog_serving.deployment.split import Segment, lay_out

RUNNING, STOPPED = "running", "stopped"
PRODUCTION = "production"
# So many versions can be gone back to.
MOST_KEPT = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Variant:
    """A version that answers a part of the traffic, of 100."""

    version: str
    percent: float
    digest: str
    flavor: str


@dataclass(frozen=True)
class Replicas:
    """What was last seen of the replicas where they run; `backend` is "kubernetes" or "ray"."""

    backend: str
    wanted: int
    ready: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Deployment:
    """A deployment; `status` is "" before it is created, then "running" or "stopped".

    `answered` are the versions that ever had a part of the traffic, `had_all` those that had all of it, by when they
    last had: the newest first.
    """

    id: str = ""
    name: str = ""
    model: str = ""
    environment: str = ""
    status: str = ""
    author: str = ""
    signature: Signature = field(default_factory=Signature)
    variants: tuple[Variant, ...] = ()
    segments: tuple[Segment, ...] = ()
    scaling: Scaling | None = None
    replicas: Replicas | None = None
    caching: Caching | None = None
    resilience: Resilience | None = None
    created_at: datetime = _EPOCH
    updated_at: datetime = _EPOCH
    answered: tuple[Variant, ...] = ()
    had_all: tuple[str, ...] = ()

    @property
    def split(self) -> dict[str, float]:
        """The shares by version, without those that have none."""
        return {v.version: v.percent for v in self.variants if v.percent}

    @property
    def previous(self) -> Variant | None:
        """Where a rollback goes: the last version that had all of the traffic, and has not now."""
        target = next((v for v in self.had_all if self.split != {v: 100.0}), "")
        return next((v for v in self.answered if v.version == target), None)


def evolve(deployment: Deployment, event: DeploymentEvent) -> Deployment:
    match event:
        case DeploymentCreated():
            made = Deployment(
                id=event.deployment_id,
                name=event.name,
                model=event.model,
                environment=event.environment,
                status=RUNNING,
                author=event.author,
                signature=event.signature,
                segments=lay_out((), {event.version: 100.0}),
                created_at=event.at,
                updated_at=event.at,
            )
            return _answered_by(made, (Variant(event.version, 100.0, event.model_digest, event.flavor),))
        case TrafficSet(shares=shares, at=at):
            split = replace(
                deployment,
                segments=lay_out(deployment.segments, {s.version: s.percent for s in shares}),
                updated_at=at,
            )
            return _answered_by(split, tuple(Variant(s.version, s.percent, s.model_digest, s.flavor) for s in shares))
        case ScalingSet(scaling=scaling, at=at):
            return replace(deployment, scaling=scaling, updated_at=at)
        case CachingSet(ttl_s=ttl_s, max_bytes=max_bytes, at=at):
            caching = Caching(ttl_s, max_bytes, at) if ttl_s else None
            return replace(deployment, caching=caching, updated_at=at)
        case ResilienceSet(resilience=resilience, at=at):
            return replace(deployment, resilience=resilience, updated_at=at)
        case ReplicasChanged():
            seen = Replicas(event.backend, event.wanted, event.ready, event.problems)
            return replace(deployment, replicas=seen)
        case DeploymentStopped(at=at):
            return replace(deployment, status=STOPPED, updated_at=at)
        case _:
            assert_never(event)


def _answered_by(deployment: Deployment, variants: tuple[Variant, ...]) -> Deployment:
    now = [v for v in variants if v.percent]
    names = {v.version for v in now}
    whole = [v.version for v in now if len(now) == 1]
    return replace(
        deployment,
        variants=variants,
        answered=(*now, *(v for v in deployment.answered if v.version not in names))[:MOST_KEPT],
        had_all=(*whole, *(v for v in deployment.had_all if v not in whole))[:MOST_KEPT],
    )
