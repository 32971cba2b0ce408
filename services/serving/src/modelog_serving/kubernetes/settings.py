"""Settings of replicas in Kubernetes, from the environment (prefix MODELOG_KUBERNETES_)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from modelog_common.domain.errors import FieldViolation, Invalid
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "MODELOG_KUBERNETES_"
# What Kubernetes puts into each pod.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER = "https://kubernetes.default.svc"
LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class KubernetesSettings(BaseSettings):
    """Where the API server is, and what pods are made of.

    `pod_file` is JSON of a PodSpec that pods start from; without it they get the variables and the identity of
    `env_from` and `identity_secret`. `installation` tells the objects of several platforms in one namespace apart.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    api: str = Field(default=IN_CLUSTER, pattern=r"^https?://")
    namespace: str = Field(default="", pattern=f"{LABEL}|^$")
    token_file: Path = ACCOUNT / "token"
    ca_file: Path = ACCOUNT / "ca.crt"
    installation: str = Field(default="modelog", pattern=LABEL)
    image: str = ""
    pod_file: Path | None = None
    env_from: str = Field(default="", pattern=r"^((configmap|secret)/[a-z0-9.-]+(,(configmap|secret)/[a-z0-9.-]+)*)?$")
    identity_secret: str = "modelog-identity"  # noqa: S105 - the name of a Secret
    replicas: int = Field(default=1, ge=1, le=1000)
    variants: Literal["together", "apart"] = "together"
    scaler: Literal["hpa", "keda"] = "hpa"
    prometheus: str = Field(default="", pattern=r"^(https?://.+)?$")
    activation_query: str = ""
    gateway: str = Field(default="", pattern=r"^([a-z0-9-]+/[a-z0-9.-]+)?$")
    domain: str = Field(default="", pattern=r"^([a-z0-9.-]+)?$")
    resync_s: float = Field(default=5.0, gt=0, le=3600)

    def model_post_init(self, _context: Any) -> None:
        if self.scaler == "keda" and not self.prometheus:
            raise ValueError(f"{PREFIX}PROMETHEUS is not set; with {PREFIX}SCALER=keda it is Prometheus's address")
        if bool(self.gateway) != bool(self.domain):
            raise ValueError(f"{PREFIX}GATEWAY and {PREFIX}DOMAIN are set together: a route is a name below the domain")

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
    try:
        return KubernetesSettings()
    except ValidationError as error:
        violations = [_violation(e) for e in error.errors()]
        raise Invalid("; ".join(f"{v.field} {v.description}" for v in violations), violations) from None


def _violation(problem: Any) -> FieldViolation:
    if not problem["loc"]:
        said = str(problem["msg"]).removeprefix("Value error, ")
        return FieldViolation(said.partition(" ")[0], said.partition(" ")[2])
    field = PREFIX + "_".join(str(p) for p in problem["loc"]).upper()
    return FieldViolation(field, f"is {problem['input']!r}: {problem['msg']}")
