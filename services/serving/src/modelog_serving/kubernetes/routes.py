"""Routes of the Gateway API: a host for each deployment, and weights where its versions run apart. Pure."""

from __future__ import annotations

from typing import Any

from modelog_serving.deployment.state import Deployment
from modelog_serving.kubernetes.kinds import GRPC_ROUTE, HTTP_ROUTE, Object
from modelog_serving.kubernetes.names import name_of
from modelog_serving.kubernetes.pods import PORTS
from modelog_serving.kubernetes.settings import KubernetesSettings

# A weight is a whole number up to a million.
OF_A_PERCENT = 100


def routes(deployment: Deployment, metadata: Object, settings: KubernetesSettings) -> list[Object]:
    """One for HTTP and one for gRPC; none without a gateway."""
    if not settings.gateway:
        return []
    namespace, _, gateway = settings.gateway.partition("/")
    apart = settings.variants == "apart"
    shared = {
        "parentRefs": [{"namespace": namespace, "name": gateway}],
        "hostnames": [f"{metadata['name']}.{settings.domain}"],
    }
    # Who asks for a version gets the pods of that version.
    path = f"/v2/models/{deployment.name}/versions"
    versions = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": f"{path}/{v.version}"}}],
            "backendRefs": [_backend(name_of(deployment, v.version), "http", 1)],
        }
        for v in deployment.variants
        if apart
    ]
    http = [*versions, {"backendRefs": _backends(deployment, "http", apart=apart)}]
    grpc = [{"backendRefs": _backends(deployment, "oip", apart=apart)}]
    return [
        {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": metadata,
            "spec": {**shared, "rules": rules},
        }
        for kind, rules in ((HTTP_ROUTE, http), (GRPC_ROUTE, grpc))
    ]


def _backends(deployment: Deployment, port: str, *, apart: bool) -> list[Any]:
    if not apart:
        return [_backend(name_of(deployment), port, 1)]
    return [
        _backend(name_of(deployment, v.version), port, round(v.percent * OF_A_PERCENT)) for v in deployment.variants
    ]


def _backend(name: str, port: str, weight: int) -> Object:
    return {"name": name, "port": PORTS[port], "weight": weight}
