"""Settings of replicas in Kubernetes, from the environment (prefix MODELOG_KUBERNETES_)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from modelog_common.domain.errors import Invalid
from modelog_common.variables import MISSING, Problem, Variables
from msgspec import Meta

PREFIX = "MODELOG_KUBERNETES_"
# What Kubernetes puts into each pod.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER = "https://kubernetes.default.svc"
LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class KubernetesSettings(Variables, prefix=PREFIX):
    """Where the API server is, and what pods are made of.

    `pod_file` is JSON of a PodSpec that pods start from; without it they get the variables and the identity of
    `env_from` and `identity_secret`. `installation` tells the objects of several platforms in one namespace apart.
    """

    api: Annotated[str, Meta(pattern=r"^https?://")] = IN_CLUSTER
    namespace: Annotated[str, Meta(pattern=f"{LABEL}|^$")] = ""
    token_file: Path = ACCOUNT / "token"
    ca_file: Path = ACCOUNT / "ca.crt"
    installation: Annotated[str, Meta(pattern=LABEL)] = "modelog"
    image: str = ""
    pod_file: Path | None = None
    env_from: Annotated[str, Meta(pattern=r"^((configmap|secret)/[a-z0-9.-]+(,(configmap|secret)/[a-z0-9.-]+)*)?$")] = (
        ""
    )
    identity_secret: str = "modelog-identity"  # noqa: S105 - the name of a Secret
    replicas: Annotated[int, Meta(ge=1, le=1000)] = 1
    variants: Literal["together", "apart"] = "together"
    scaler: Literal["hpa", "keda"] = "hpa"
    prometheus: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    activation_query: str = ""
    gateway: Annotated[str, Meta(pattern=r"^([a-z0-9-]+/[a-z0-9.-]+)?$")] = ""
    domain: Annotated[str, Meta(pattern=r"^([a-z0-9.-]+)?$")] = ""
    resync_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0

    def together(self) -> list[Problem]:
        if self.scaler == "keda" and not self.prometheus:
            return [Problem("prometheus", MISSING, f"is not set; with {PREFIX}SCALER=keda it is Prometheus's address")]
        if bool(self.gateway) != bool(self.domain):
            lacks, other = ("gateway", "DOMAIN") if self.domain else ("domain", "GATEWAY")
            return [Problem(lacks, MISSING, f"is not set beside {PREFIX}{other}: a route is a name below the domain")]
        return []

    def own_namespace(self) -> str:
        """The namespace that was named, or that of this very pod."""
        if self.namespace:
            return self.namespace
        try:
            return (ACCOUNT / "namespace").read_text().strip()
        except OSError:
            raise Invalid.field(
                f"{PREFIX}NAMESPACE", "is not set, and this process is in no pod that has one"
            ) from None


def load_kubernetes_settings() -> KubernetesSettings:
    """Read them; raises Invalid, naming the environment variables, when one is wrong."""
    return KubernetesSettings.read()
