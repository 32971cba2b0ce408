"""From messages to commands. The server has checked the messages against the rules of the contract before."""

from __future__ import annotations

from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2

from modelog_registry.api.values import time_of
from modelog_registry.dataset.commands import RegisterDatasetVersion
from modelog_registry.dataset.expectation import Column, Expectation
from modelog_registry.experiment.commands import CreateExperiment, TagExperiment


def create_experiment(request: experiment_pb2.CreateExperimentRequest) -> CreateExperiment:
    """Without the id, which its name decides."""
    return CreateExperiment(
        experiment_id="",
        name=request.name,
        description=request.description,
        tags=dict(request.tags),
        artifact_location=request.artifact_location,
        must_be_new=request.must_be_new,
        created_at=time_of(request, "created_at"),
    )


def changes_of(request: experiment_pb2.UpdateExperimentRequest) -> tuple[str | None, str | None]:
    """The new name and description; None for what stays."""
    name = request.name if request.HasField("name") else None
    return name, request.description if request.HasField("description") else None


def tag_experiment(request: experiment_pb2.SetExperimentTagsRequest) -> TagExperiment:
    return TagExperiment(request.experiment_id, dict(request.tags), tuple(request.removed))


def register_dataset_version(request: dataset_pb2.RegisterDatasetVersionRequest) -> RegisterDatasetVersion:
    return RegisterDatasetVersion(
        dataset=request.dataset,
        digest=request.digest,
        size_bytes=request.size_bytes,
        rows=request.rows,
        columns=tuple(Column(c.name, c.type) for c in request.schema),
        expectations=tuple(_expectation(e) for e in request.expectations),
        label=request.label,
        description=request.description,
    )


def _expectation(expectation: dataset_pb2.Expectation) -> Expectation:
    return Expectation(
        expectation.column,
        expectation.kind,
        expectation.minimum if expectation.HasField("minimum") else None,
        expectation.maximum if expectation.HasField("maximum") else None,
        tuple(expectation.values),
    )
