"""What a job leaves in the registry when it has succeeded: a version of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2

from modelog_training.job.events import JobSubmitted, Registration
from modelog_training.work.journal import ModelSaved, Tensor, finite


def version_request(
    job: JobSubmitted,
    register: Registration,
    run_id: str,
    model: ModelSaved,
    metrics: Mapping[str, float],
    request_id: str,
) -> model_pb2.RegisterVersionRequest:
    """The version that a job asked for, as its author's: the registry honours `submitted_by` from a service."""
    return model_pb2.RegisterVersionRequest(
        model=register.model,
        version=register.version,
        description=register.description,
        run_id=run_id,
        datasets=[common.DatasetRef(dataset=d.dataset, version=d.version) for d in job.datasets],
        flavor=model.flavor,
        artifact=model_pb2.Artifact(path=model.path, digest=model.digest, size_bytes=model.size_bytes),
        signature=model_pb2.Signature(inputs=_tensors(model.inputs), outputs=_tensors(model.outputs)),
        metrics=finite(dict(metrics) if model.metrics is None else model.metrics),
        tags={**job.tags, "submitted_by": job.author, "job_id": job.job_id},
        request_id=request_id,
    )


def _tensors(tensors: Iterable[Tensor]) -> list[model_pb2.TensorSpec]:
    return [
        model_pb2.TensorSpec(name=t.name, datatype=t.datatype, shape=t.shape, columns=t.columns, kinds=t.kinds)
        for t in tensors
    ]
