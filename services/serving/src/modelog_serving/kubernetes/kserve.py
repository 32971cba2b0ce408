"""A deployment as an InferenceService of KServe, whose predictor is our own serving process. Pure."""

from __future__ import annotations

from copy import deepcopy

from modelog_serving.deployment.state import Deployment
from modelog_serving.kubernetes.kinds import Object
from modelog_serving.kubernetes.names import labels, name_of
from modelog_serving.kubernetes.objects import gpus_of, only_of, told
from modelog_serving.kubernetes.pods import pod_of
from modelog_serving.kubernetes.settings import KubernetesSettings

API_VERSION, KIND = "serving.kserve.io/v1beta1", "InferenceService"
CONTAINER = "kserve-container"


def inference_service(tenant: str, deployment: Deployment, template: Object, settings: KubernetesSettings) -> Object:
    """One InferenceService for all versions: the process in it splits the traffic as the log says.

    KServe itself lets one port be asked from outside, which is HTTP's; the protocol is the Open Inference Protocol.
    """
    pod = deepcopy(pod_of(template, only_of(tenant, deployment, ""), gpus_of(deployment)))
    container = pod["containers"][0]
    container["name"] = CONTAINER
    container["ports"] = [port for port in container.get("ports", ()) if port["name"] == "http"]
    predictor: Object = {**pod, "minReplicas": settings.replicas, "maxReplicas": settings.replicas}
    scaling = deployment.scaling
    if scaling:
        predictor["minReplicas"] = 0 if scaling.scale_to_zero else scaling.min_replicas
        predictor["maxReplicas"] = scaling.max_replicas
        if scaling.target_concurrency:
            predictor |= {"scaleMetric": "concurrency", "scaleTarget": max(1, round(scaling.target_concurrency))}
    about = {
        "name": name_of(deployment),
        # Not those by which serving finds what it made itself: it would delete this.
        "labels": {k: v for k, v in labels(deployment, settings).items() if k.startswith("modelog/deployment")},
        "annotations": told(deployment),
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": about, "spec": {"predictor": predictor}}
