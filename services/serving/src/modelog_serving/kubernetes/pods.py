"""What runs in a pod: the serving image as a process that answers for one deployment only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy

from modelog_common.config import Settings
from modelog_common.domain.errors import Invalid

from modelog_serving.kubernetes.kinds import Object
from modelog_serving.kubernetes.settings import PREFIX, KubernetesSettings
from modelog_serving.worker.limits import TORCH_DEVICE

PORTS = {"grpc": 9000, "http": 8090, "oip": 8091}
ONLY = "MODELOG_SERVING_ONLY"
GPU = "nvidia.com/gpu"
DEFAULT_IMAGE = "modelog/serving:0.1.0"
IDENTITY = "/etc/modelog/identity"
# What a serving process is told of the platform that is no secret and no place on this machine.
TOLD = ("kafka_bootstrap", "log_level", "connections", "drain_s", "otlp_endpoint", "grpc_edge", "grpc_client")
READY = {"path": "/v2/health/ready", "port": "http"}
LIVE = {"path": "/v2/health/live", "port": "http"}


def template_of(settings: KubernetesSettings, platform: Settings) -> Object:
    """The PodSpec that pods start from; raises Invalid when its file is none."""
    pod = _from_file(settings) if settings.pod_file else _made(settings, platform)
    container = pod["containers"][0]
    container["image"] = settings.image or container.get("image") or DEFAULT_IMAGE
    return pod


def pod_of(template: Object, only: str, gpus: int = 0) -> Object:
    """The template for a pod that answers for `only`: a tenant's deployment, or one version of it.

    With `gpus` it asks for so many, and PyTorch computes there, whatever the template says.
    """
    pod = deepcopy(template)
    container = pod["containers"][0]
    own = {ONLY: only, **({TORCH_DEVICE: "cuda"} if gpus else {})}
    env = [entry for entry in container.get("env", ()) if entry["name"] not in own]
    container["env"] = [*env, *_env(own)]
    if gpus:
        # Of what is no part of Kubernetes itself, the request is the limit.
        resources = container.setdefault("resources", {})
        resources["limits"] = {**resources.get("limits", {}), GPU: str(gpus)}
    return pod


def _from_file(settings: KubernetesSettings) -> Object:
    name = f"{PREFIX}POD_FILE"
    try:
        pod = json.loads(settings.pod_file.read_text()) if settings.pod_file else {}
    except (OSError, ValueError) as error:
        raise Invalid.field(name, f"{settings.pod_file} cannot be read as JSON: {error}") from None
    if not isinstance(pod, dict) or not pod.get("containers"):
        raise Invalid.field(
            name, f"{settings.pod_file} has no containers; it must be a PodSpec, and its first one serves"
        )
    return pod


def _made(settings: KubernetesSettings, platform: Settings) -> Object:
    own = {name: getattr(platform, name) for name in TOLD}
    told = {
        "MODELOG_SERVICE_HOST": "0.0.0.0",  # noqa: S104 - a pod's own network
        "MODELOG_GRPC_PORT": str(PORTS["grpc"]),
        "MODELOG_HTTP_PORT": str(PORTS["http"]),
        "MODELOG_OIP_GRPC_PORT": str(PORTS["oip"]),
        "MODELOG_DATA_DIR": "/data",
        "MODELOG_PEERS": json.dumps(platform.peers),
        "MODELOG_PUBLIC_KEY_FILE": f"{IDENTITY}/public.pem",
        "MODELOG_SERVICE_TOKEN_FILE": f"{IDENTITY}/token",
        **{f"MODELOG_{name.upper()}": str(own[name]) for name in TOLD if own[name]},
    }
    sources = [source.split("/") for source in settings.env_from.split(",") if source]
    refs = {"configmap": "configMapRef", "secret": "secretRef"}
    items = [{"key": "public.pem", "path": "public.pem"}, {"key": "serving.token", "path": "token"}]
    return {
        "automountServiceAccountToken": False,
        # Kubernetes would add MODELOG_..._PORT for Services of such names, which are settings of ours.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": int(platform.drain_s) + 15,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "serving",
                "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in PORTS.items()],
                "envFrom": [{refs[kind]: {"name": name}} for kind, name in sources],
                "env": _env(told),
                "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
                "startupProbe": {"httpGet": READY, "periodSeconds": 2, "failureThreshold": 60},
                "readinessProbe": {"httpGet": READY, "periodSeconds": 5, "failureThreshold": 2},
                "livenessProbe": {"httpGet": LIVE, "periodSeconds": 10, "failureThreshold": 6},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the pod
                    {"name": "identity", "mountPath": IDENTITY, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "identity", "secret": {"secretName": settings.identity_secret, "items": items}},
        ],
    }  # fmt: skip


def _env(told: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in told.items()]
