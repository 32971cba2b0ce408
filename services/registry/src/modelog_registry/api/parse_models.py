"""From messages about models to commands. The server has checked them against the rules of the contract before."""

from __future__ import annotations

from collections.abc import Iterable

from modelog_common.domain.semver import SemanticVersion
from modelog_proto.registry.v1 import model_pb2 as pb

from modelog_registry.api.values import artifact_of, object_of, time_of
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    PromoteVersion,
    RegisterModel,
    RegisterVersion,
    ReviewVersion,
    SetAlias,
    TagModel,
    TagVersion,
    UpdateModel,
    UpdateVersion,
)
from modelog_registry.model.events import DatasetRef, Environment
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Stage
from modelog_registry.read.messages import STAGE_OF
from modelog_registry.read.models.model_messages import DECISIONS, TYPES

_DECISIONS = {number: decision for decision, number in DECISIONS.items()}
_TYPES = {number: kind for kind, number in TYPES.items()}


def register_model(request: pb.RegisterModelRequest) -> RegisterModel:
    return RegisterModel(
        request.name,
        request.description,
        dict(request.tags),
        _TYPES[request.type],
        request.must_be_new,
        time_of(request, "created_at"),
    )


def update_model(request: pb.UpdateModelRequest) -> UpdateModel:
    description = request.description if request.HasField("description") else None
    return UpdateModel(request.name, description, _TYPES[request.type])


def tag_model(request: pb.SetModelTagsRequest) -> TagModel:
    return TagModel(request.name, dict(request.tags), tuple(request.removed))


def delete_model(request: pb.DeleteModelRequest) -> DeleteModel:
    return DeleteModel(request.name, request.reason)


def register_version(request: pb.RegisterVersionRequest) -> RegisterVersion:
    return RegisterVersion(
        model=request.model,
        version=SemanticVersion.parse(request.version) if request.version else None,
        flavor=request.flavor,
        artifact=artifact_of(request.artifact) if request.HasField("artifact") else None,
        signature=_signature(request.signature) if request.HasField("signature") else None,
        description=request.description,
        run_id=request.run_id,
        datasets=tuple(DatasetRef(d.dataset, d.version) for d in request.datasets),
        metrics=dict(request.metrics),
        tags=dict(request.tags),
        artifacts=tuple(artifact_of(a) for a in request.artifacts),
        flavors={name: object_of(configuration) for name, configuration in request.flavors.items()},
        hyperparameters=object_of(request.hyperparameters),
        environment=_environment(request.environment) if request.HasField("environment") else None,
        source=request.source,
        created_at=time_of(request, "created_at"),
    )


def update_version(request: pb.UpdateVersionRequest) -> UpdateVersion:
    description = request.description if request.HasField("description") else None
    return UpdateVersion(request.model, SemanticVersion.parse(request.version), description)


def tag_version(request: pb.SetVersionTagsRequest) -> TagVersion:
    version = SemanticVersion.parse(request.version)
    return TagVersion(request.model, version, dict(request.tags), tuple(request.removed))


def delete_version(request: pb.DeleteVersionRequest) -> DeleteVersion:
    return DeleteVersion(request.model, SemanticVersion.parse(request.version), request.reason)


def review_version(request: pb.ReviewVersionRequest) -> ReviewVersion:
    return ReviewVersion(
        request.model,
        SemanticVersion.parse(request.version),
        _DECISIONS[request.decision],
        request.comment,
        object_of(request.evidence),
    )


def promote_version(request: pb.PromoteVersionRequest) -> PromoteVersion:
    return PromoteVersion(
        request.model,
        SemanticVersion.parse(request.version),
        STAGE_OF[request.stage],
        request.reason,
        STAGE_OF.get(request.expected_stage),
        request.archive_others,
    )


def set_alias(request: pb.SetAliasRequest) -> SetAlias:
    expected = request.expected_version if request.HasField("expected_version") else None
    return SetAlias(request.model, request.alias, SemanticVersion.parse(request.version), expected)


def delete_alias(request: pb.DeleteAliasRequest) -> DeleteAlias:
    return DeleteAlias(request.model, request.alias)


def stage_wanted(request: pb.ListVersionsRequest) -> Stage | None:
    """None means any."""
    return STAGE_OF.get(request.stage)


def _signature(signature: pb.Signature) -> Signature:
    return Signature(_tensors(signature.inputs), _tensors(signature.outputs))


def _tensors(tensors: Iterable[pb.TensorSpec]) -> tuple[Tensor, ...]:
    return tuple(Tensor(t.name, t.datatype, tuple(t.shape), tuple(t.columns), tuple(t.kinds)) for t in tensors)


def _environment(environment: pb.ModelEnvironment) -> Environment:
    return Environment(
        environment.python,
        environment.platform,
        dict(environment.packages),
        environment.container_image,
        environment.git_commit,
    )
