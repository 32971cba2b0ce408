"""What requests and answers of serving name, and which models that is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelog_common.events.entities import Entities
from modelog_common.rpc.sight import Vocabulary

from modelog_serving.deployment.decide import deployment_id
from modelog_serving.deployment.state import Deployment

VOCABULARY = Vocabulary(
    "modelog.serving.v1",
    {
        "model": "model",
        "deployment": "deployment",
        "GetDeploymentRequest.name": "deployment",
        "SetTrafficRequest.name": "deployment",
        "SetScalingRequest.name": "deployment",
        "SetCachingRequest.name": "deployment",
        "SetResilienceRequest.name": "deployment",
        "ExportDeploymentRequest.name": "deployment",
        "StopDeploymentRequest.name": "deployment",
        "VersionTrial.asked_model": "model",
    },
)


async def models_of(deployments: Entities[Deployment, Any, Any], kind: str, name: str, tenant: str) -> Sequence[str]:
    """The model of a deployment, also of one that was stopped; nothing of one that never was."""
    model = (await deployments.load(deployment_id(tenant, name))).state.model
    return [f"model:{model}"] if model else []
