"""What can be asked of a deployment, with the facts about model versions that the decision needs."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_serving.deployment.events import ShareSet
from modelog_serving.deployment.resilience import Resilience
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature

SERVABLE_STAGES = ("staging", "production")


@dataclass(frozen=True)
class Candidate:
    """A model version as the registry describes it now.

    `stage` is "development", "staging", "production" or "archived"; `approved` says that its last review approved it;
    `digest` is the SHA-256 of the model file.
    """

    model: str
    version: str
    digest: str
    flavor: str
    signature: Signature
    stage: str
    approved: bool

    @property
    def vouched(self) -> bool:
        """Whether somebody approved it and it is in use or about to be: then its file may run what is in it."""
        return self.approved and self.stage in SERVABLE_STAGES


@dataclass(frozen=True)
class Share:
    """A version and its part of the traffic, of 100."""

    candidate: Candidate
    percent: float


@dataclass(frozen=True)
class Create:
    """Serve a version under a name. `environment` is "dev", "staging" or "production"."""

    name: str
    environment: str
    candidate: Candidate


@dataclass(frozen=True)
class SetTraffic:
    """Split the traffic between these versions."""

    name: str
    shares: tuple[Share, ...]
    reason: str = ""


@dataclass(frozen=True)
class Shift:
    """Split the traffic between versions that may answer already, as a release does.

    Refused when the split is none of those `before`: then somebody else has set it.
    """

    name: str
    before: tuple[dict[str, float], ...]
    shares: tuple[ShareSet, ...]
    reason: str = ""


@dataclass(frozen=True)
class RollBack:
    """Give all of the traffic to a version that answered before; without one to the last that had all of it."""

    name: str
    version: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Stop:
    """Answer no more."""

    name: str
    reason: str = ""


@dataclass(frozen=True)
class SetScaling:
    """Have replicas between bounds."""

    name: str
    scaling: Scaling
    reason: str = ""


@dataclass(frozen=True)
class SetCaching:
    """Give answers again for `ttl_s`, 0 for never."""

    name: str
    ttl_s: int
    max_bytes: int
    reason: str = ""


@dataclass(frozen=True)
class SetResilience:
    """Do this when a version fails, None for nothing; `candidate` is the version that the fallback names, if any."""

    name: str
    resilience: Resilience | None
    candidate: Candidate | None = None
    reason: str = ""


@dataclass(frozen=True)
class SeeReplicas:
    """Keep what was seen of the replicas where they run."""

    name: str
    backend: str
    wanted: int
    ready: int
    problems: tuple[str, ...]


DeploymentCommand = (
    Create | SetTraffic | Shift | RollBack | Stop | SetScaling | SetCaching | SetResilience | SeeReplicas
)
