"""The objects that a deployment becomes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_serving.deployment.state import Deployment
from modelog_serving.kubernetes.kinds import BUDGET, DEPLOYMENT, SERVICE, Kind, Object
from modelog_serving.kubernetes.names import labels, name_of
from modelog_serving.kubernetes.pods import PORTS, pod_of
from modelog_serving.kubernetes.routes import routes
from modelog_serving.kubernetes.scaling import scaler
from modelog_serving.kubernetes.settings import KubernetesSettings


def objects(tenant: str, deployment: Deployment, template: Object, settings: KubernetesSettings) -> list[Object]:
    """Everything, what others name first: for all versions together, or for each version that has traffic apart."""
    made: list[Object] = []
    for version in versions(deployment, settings):
        made.append(_deployment(tenant, deployment, version, template, settings))
        made.append(_service(deployment, version, settings))
        made.append(_budget(deployment, version, settings))
        if deployment.scaling:
            made.append(scaler(deployment.scaling, metadata(deployment, version, settings), settings))
    return [*made, *routes(deployment, metadata(deployment, "", settings), settings)]


def versions(deployment: Deployment, settings: KubernetesSettings) -> Sequence[str]:
    """The versions that have pods of their own; "" stands for all of them together."""
    return [v.version for v in deployment.variants] if settings.variants == "apart" else [""]


def only_of(tenant: str, deployment: Deployment, version: str) -> str:
    """What a pod is told to answer for."""
    return f"{tenant}/{deployment.name}" + (f"@{version}" if version else "")


def gpus_of(deployment: Deployment) -> int:
    """What each of its pods asks for."""
    return deployment.scaling.gpus if deployment.scaling else 0


def metadata(deployment: Deployment, version: str, settings: KubernetesSettings) -> Object:
    """Name and labels, and in words for what a label has no room for."""
    return {
        "name": name_of(deployment, version),
        "labels": labels(deployment, settings, version),
        "annotations": {"modelog/deployment": deployment.name, "modelog/model": deployment.model},
    }


def told(deployment: Deployment) -> dict[str, str]:
    """What answers, and since when: the files by their SHA-256."""
    digests = {f"modelog/digest.{v.version.replace('+', '_')}": v.digest for v in deployment.variants}
    named = {"modelog/deployment": deployment.name, "modelog/model": deployment.model}
    return named | digests | {"modelog/changed-at": deployment.updated_at.isoformat()}


def head(kind: Kind, metadata: Object) -> Object:
    """How every object begins."""
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}


def _deployment(
    tenant: str, deployment: Deployment, version: str, template: Object, settings: KubernetesSettings
) -> Object:
    about = metadata(deployment, version, settings)
    # On the Deployment and not on its pods: these follow the log, and a new split needs no new ones.
    about["annotations"] = told(deployment)
    own = labels(deployment, settings, version)
    pod = pod_of(template, only_of(tenant, deployment, version), gpus_of(deployment))
    spec: Object = {
        "selector": {"matchLabels": own},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": own}, "spec": pod},
    }
    if deployment.scaling is None:
        spec["replicas"] = settings.replicas
    return {**head(DEPLOYMENT, about), "spec": spec}


def _service(deployment: Deployment, version: str, settings: KubernetesSettings) -> Object:
    ports = [
        {
            "name": name,
            "port": PORTS[name],
            "targetPort": name,
            "protocol": "TCP",
            "appProtocol": "http" if name == "http" else "kubernetes.io/h2c",
        }
        for name in ("http", "oip")
    ]
    spec = {"selector": labels(deployment, settings, version), "ports": ports}
    return {**head(SERVICE, metadata(deployment, version, settings)), "spec": spec}


def _budget(deployment: Deployment, version: str, settings: KubernetesSettings) -> Object:
    """A node can always be drained: one replica may be away."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(deployment, settings, version)}}
    return {**head(BUDGET, metadata(deployment, version, settings)), "spec": spec}
