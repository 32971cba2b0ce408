"""What a process answers for that does not answer for everything: one deployment, or one version of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelog_serving.deployment.split import POINTS, Segment
from modelog_serving.deployment.state import Deployment


@dataclass(frozen=True)
class Only:
    """A tenant's deployment; with a version, all of its traffic gets that version."""

    tenant: str
    name: str
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> Only:
        """From `tenant/deployment` or `tenant/deployment@version`."""
        tenant, _, rest = text.partition("/")
        name, _, version = rest.partition("@")
        return cls(tenant, name, version)

    def narrowed(self, deployment: Deployment) -> Deployment | None:
        """The deployment as this process answers for it; None when its version has no part in it."""
        if not self.version:
            return deployment
        variants = tuple(replace(v, percent=100.0) for v in deployment.variants if v.version == self.version)
        return (
            replace(deployment, variants=variants, segments=(Segment(0, POINTS, self.version),)) if variants else None
        )
