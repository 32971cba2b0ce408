"""A deployment as manifests: what serving itself makes in Kubernetes, or an InferenceService of KServe."""

from __future__ import annotations

from datetime import UTC

from modelog_common.config import Settings
from modelog_proto.serving.v1 import deployment_pb2 as pb

from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.state import RUNNING, STOPPED, Deployment, Variant


def exported(platform: Settings, tenant: str, found: pb.Deployment, form: pb.ManifestFormat.ValueType) -> str:
    """YAML documents of a deployment as it was answered; one that was stopped has none."""
    # Here, because the settings of Kubernetes concern only those who ask.
    import yaml

    from modelog_serving.kubernetes.kserve import inference_service
    from modelog_serving.kubernetes.objects import objects
    from modelog_serving.kubernetes.pods import template_of
    from modelog_serving.kubernetes.settings import load_kubernetes_settings

    deployment = deployment_of(found)
    if deployment.status == STOPPED:
        return ""
    settings = load_kubernetes_settings()
    template = template_of(settings, platform)
    if form == pb.MANIFEST_FORMAT_KSERVE:
        made = [inference_service(tenant, deployment, template, settings)]
    else:
        made = objects(tenant, deployment, template, settings)
    text: str = yaml.safe_dump_all(made, sort_keys=False)
    return text


def scaling_of(message: pb.Scaling) -> Scaling:
    """What was asked for; a number that is 0 and cannot be is one that was left out."""
    return Scaling(**{field.name: value for field, value in message.ListFields()})


def deployment_of(found: pb.Deployment) -> Deployment:
    """As much of the state as manifests are made of."""
    return Deployment(
        id=found.id,
        name=found.name,
        model=found.model,
        status=STOPPED if found.status == pb.DEPLOYMENT_STATUS_STOPPED else RUNNING,
        variants=tuple(Variant(v.version, v.percent, v.model_digest, v.flavor) for v in found.variants),
        scaling=scaling_of(found.scaling) if found.HasField("scaling") else None,
        updated_at=found.updated_at.ToDatetime(UTC),
    )
