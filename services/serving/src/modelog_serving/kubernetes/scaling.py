"""How the number of replicas follows the load: a HorizontalPodAutoscaler, or a ScaledObject of KEDA. Pure."""

from __future__ import annotations

from typing import Any

from modelog_serving.deployment.scaling import Scaling
from modelog_serving.kubernetes.kinds import AUTOSCALER, DEPLOYMENT, SCALED, Object
from modelog_serving.kubernetes.settings import KubernetesSettings

# Metrics of a serving process, as Prometheus spells their names.
UNDER_WAY = "modelog_serving_requests_under_way"
LATENCY_P95 = "modelog_serving_latency_p95_milliseconds"
CPU_PERCENT = 80


def scaler(scaling: Scaling, metadata: Object, settings: KubernetesSettings) -> Object:
    """What scales the Deployment of the same name."""
    return _scaled_object(scaling, metadata, settings) if settings.scaler == "keda" else _autoscaler(scaling, metadata)


def to_zero(scaling: Scaling, settings: KubernetesSettings) -> bool:
    """Whether none may be left: something outside of the pods must see that requests come."""
    return scaling.scale_to_zero and settings.scaler == "keda" and bool(settings.activation_query)


def _autoscaler(scaling: Scaling, metadata: Object) -> Object:
    targets = [(UNDER_WAY, scaling.target_concurrency), (LATENCY_P95, scaling.target_latency_ms)]
    metrics: list[Any] = [
        {
            "type": "Pods",
            "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": _quantity(target)}},
        }
        for name, target in targets
        if target
    ]
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": CPU_PERCENT}}
    return {
        "apiVersion": AUTOSCALER.api_version,
        "kind": AUTOSCALER.name,
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {
                "apiVersion": DEPLOYMENT.api_version,
                "kind": DEPLOYMENT.name,
                "name": metadata["name"],
            },
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            # The cluster may have no server of other metrics than this one; the largest of what all ask for is taken.
            "metrics": [*metrics, {"type": "Resource", "resource": cpu}],
            "behavior": _behavior(scaling),
        },
    }


def _scaled_object(scaling: Scaling, metadata: Object, settings: KubernetesSettings) -> Object:
    pods = f'{{pod=~"{metadata["name"]}-.*"}}'
    triggers = []
    if scaling.target_concurrency:
        triggers.append(_asked(settings, f"sum({UNDER_WAY}{pods})", scaling.target_concurrency, "AverageValue"))
    if scaling.target_latency_ms:
        triggers.append(_asked(settings, f"max({LATENCY_P95}{pods})", scaling.target_latency_ms, "Value"))
    if to_zero(scaling, settings):
        query = settings.activation_query.replace("{name}", metadata["name"])
        triggers.append(_asked(settings, query, scaling.target_concurrency or 1, "AverageValue"))
    if not triggers:
        cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(CPU_PERCENT)}}
        triggers.append(cpu)
    return {
        "apiVersion": SCALED.api_version,
        "kind": SCALED.name,
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"name": metadata["name"]},
            "minReplicaCount": 0 if to_zero(scaling, settings) else scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "cooldownPeriod": scaling.idle_s,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(scaling)}},
            "triggers": triggers,
        },
    }


def _asked(settings: KubernetesSettings, query: str, threshold: float, kind: str) -> dict[str, Any]:
    asked = {"serverAddress": settings.prometheus, "query": query, "threshold": f"{threshold:g}"}
    return {"type": "prometheus", "metricType": kind, "metadata": asked}


def _behavior(scaling: Scaling) -> Object:
    return {
        "scaleUp": {"stabilizationWindowSeconds": scaling.up_cooldown_s},
        "scaleDown": {"stabilizationWindowSeconds": scaling.down_cooldown_s},
    }


def _quantity(value: float) -> str:
    """As the API spells it itself: whole, or in thousandths."""
    return f"{value:.0f}" if value == int(value) else f"{round(value * 1000)}m"
