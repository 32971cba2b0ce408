"""The kinds of objects that deployments become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# An object as the API has it.
Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind in one version. A cluster may lack an `extension`: the objects are then not made, and that is said."""

    api_version: str
    name: str
    plural: str
    extension: str = ""

    def path(self, namespace: str, name: str = "") -> str:
        """The address of the kind's objects in a namespace, or of one of them."""
        root = "api" if "/" not in self.api_version else "apis"
        return f"/{root}/{self.api_version}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
SERVICE = Kind("v1", "Service", "services")
BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
SCALED = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", "KEDA")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", "the Gateway API")
GRPC_ROUTE = Kind("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes", "the Gateway API")
POD = Kind("v1", "Pod", "pods")
# In the order in which they are made: what others name comes first.
KINDS = (DEPLOYMENT, SERVICE, BUDGET, AUTOSCALER, SCALED, HTTP_ROUTE, GRPC_ROUTE)
BY_NAME = {kind.name: kind for kind in KINDS}
