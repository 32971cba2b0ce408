"""What a deployment is, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never

from modelog_serving.deployment.events import DeploymentCreated, DeploymentEvent, DeploymentStopped, TrafficSet
from modelog_serving.deployment.signature import Signature
from modelog_serving.deployment.split import Segment, lay_out

RUNNING, STOPPED = "running", "stopped"
PRODUCTION = "production"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Variant:
    """A version that answers a part of the traffic, of 100."""

    version: str
    percent: float
    digest: str
    flavor: str


@dataclass(frozen=True)
class Deployment:
    """A deployment; `status` is "" before it is created, then "running" or "stopped"."""

    id: str = ""
    name: str = ""
    model: str = ""
    environment: str = ""
    status: str = ""
    author: str = ""
    signature: Signature = field(default_factory=Signature)
    variants: tuple[Variant, ...] = ()
    segments: tuple[Segment, ...] = ()
    created_at: datetime = _EPOCH
    updated_at: datetime = _EPOCH


def evolve(deployment: Deployment, event: DeploymentEvent) -> Deployment:
    match event:
        case DeploymentCreated():
            return Deployment(
                id=event.deployment_id,
                name=event.name,
                model=event.model,
                environment=event.environment,
                status=RUNNING,
                author=event.author,
                signature=event.signature,
                variants=(Variant(event.version, 100.0, event.model_digest, event.flavor),),
                segments=lay_out((), {event.version: 100.0}),
                created_at=event.at,
                updated_at=event.at,
            )
        case TrafficSet(shares=shares, at=at):
            return replace(
                deployment,
                variants=tuple(Variant(s.version, s.percent, s.model_digest, s.flavor) for s in shares),
                segments=lay_out(deployment.segments, {s.version: s.percent for s in shares}),
                updated_at=at,
            )
        case DeploymentStopped(at=at):
            return replace(deployment, status=STOPPED, updated_at=at)
        case _:
            assert_never(event)
