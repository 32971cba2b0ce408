"""What can happen to a deployment."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.events.types import event

from modelog_serving.deployment.resilience import Resilience
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature


class ShareSet(msgspec.Struct, frozen=True):
    """One version's part of the traffic, of 100, and the model file that answers it."""

    version: str
    percent: float
    model_digest: str
    flavor: str


@event("serving.DeploymentCreated", version=1)
class DeploymentCreated:
    """A model version is served under a name and gets all of its traffic."""

    deployment_id: str
    name: str
    model: str
    environment: str
    author: str
    version: str
    model_digest: str
    flavor: str
    signature: Signature
    at: datetime


@event("serving.TrafficSet", version=1)
class TrafficSet:
    """The traffic is split anew; versions that are not named get none."""

    deployment_id: str
    name: str
    model: str
    shares: list[ShareSet]
    reason: str
    by: str
    at: datetime


@event("serving.DeploymentStopped", version=1)
class DeploymentStopped:
    """The deployment answers no more."""

    deployment_id: str
    name: str
    by: str
    reason: str
    at: datetime


@event("serving.ScalingSet", version=2)
class ScalingSet:
    """From now on the deployment has replicas between these bounds."""

    deployment_id: str
    name: str
    model: str
    scaling: Scaling
    reason: str
    by: str
    at: datetime


@event("serving.CachingSet", version=1)
class CachingSet:
    """From now on answers are given again for `ttl_s`, 0 for never; what was kept before is not given any more."""

    deployment_id: str
    name: str
    model: str
    ttl_s: int
    max_bytes: int
    reason: str
    by: str
    at: datetime


@event("serving.ResilienceSet", version=1)
class ResilienceSet:
    """From now on this is done when a version fails; nothing where there is no `resilience`."""

    deployment_id: str
    name: str
    model: str
    resilience: Resilience | None
    reason: str
    by: str
    at: datetime


@event("serving.ReplicasChanged", version=1)
class ReplicasChanged:
    """What is seen of the replicas where they run: how many are wanted and ready, and what keeps the others from it."""

    deployment_id: str
    name: str
    backend: str
    wanted: int
    ready: int
    problems: tuple[str, ...]
    at: datetime


DeploymentEvent = (
    DeploymentCreated | TrafficSet | DeploymentStopped | ScalingSet | CachingSet | ResilienceSet | ReplicasChanged
)
