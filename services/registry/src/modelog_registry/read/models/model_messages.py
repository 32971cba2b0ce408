"""The messages of the contract of models, made of their states and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2 as pb

from modelog_registry.model.card import CardEdited
from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
)
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    Environment,
    ModelDeleted,
    ModelEvent,
    ModelMoved,
    ModelRegistered,
    ModelRenamed,
    ModelTagged,
    ModelUpdated,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
    VersionTagged,
    VersionUpdated,
)
from modelog_registry.model.retired import RetirementAnnounced, RetirementCalledOff, RetirementObjected, SlaSet
from modelog_registry.model.signature import Tensor
from modelog_registry.model.signed import VersionSigned
from modelog_registry.model.stage import Decision, ModelType
from modelog_registry.model.state import Model
from modelog_registry.model.version import Version
from modelog_registry.read.messages import STAGES, artifact_message, timestamp
from modelog_registry.read.models import card_messages, change_messages

DECISIONS = {
    Decision.APPROVED: pb.REVIEW_DECISION_APPROVED,
    Decision.REJECTED: pb.REVIEW_DECISION_REJECTED,
}
TYPES = {
    ModelType.UNSPECIFIED: pb.MODEL_TYPE_UNSPECIFIED,
    ModelType.SUPERVISED: pb.MODEL_TYPE_SUPERVISED,
    ModelType.UNSUPERVISED: pb.MODEL_TYPE_UNSUPERVISED,
    ModelType.REINFORCEMENT: pb.MODEL_TYPE_REINFORCEMENT,
    ModelType.ENSEMBLE: pb.MODEL_TYPE_ENSEMBLE,
}


def model_message(model: Model, registered: ModelRegistered, position: int) -> pb.Model:
    """A model without its versions."""
    return pb.Model(
        id=registered.model_id,
        name=registered.name,
        description=model.description,
        author=registered.author,
        tags=model.tags,
        created_at=timestamp(registered.created_at or registered.at),
        recorded_at=timestamp(registered.at),
        position=position,
        type=TYPES[model.type],
        aliases=[pb.Alias(alias=alias, version=model.aliases[alias].version) for alias in sorted(model.aliases)],
        updated_at=timestamp(model.updated_at or registered.at),
        workspace=model.place.workspace,
        project=model.place.project,
    )


def version_message(model: Model, version: Version, position: int) -> pb.ModelVersion:
    """A model version as of its last event, which stands at `position`."""
    content = version.content
    message = pb.ModelVersion(
        model=content.model,
        version=content.version,
        stage=STAGES[version.stage],
        author=content.author,
        description=version.description,
        run_id=content.run_id,
        datasets=[common.DatasetRef(dataset=d.dataset, version=d.version) for d in content.datasets],
        flavor=content.flavor,
        artifact=artifact_message(content.artifact) if content.artifact is not None else None,
        signature=pb.Signature(inputs=_tensors(content.signature.inputs), outputs=_tensors(content.signature.outputs)),
        metrics=content.metrics,
        tags=version.tags,
        reviews=[_review(r) for r in version.reviews],
        created_at=timestamp(content.created_at or content.at),
        recorded_at=timestamp(content.at),
        updated_at=timestamp(version.updated_at),
        position=position,
        number=version.number,
        aliases=model.aliases_of(content.version),
        artifacts=[artifact_message(a) for a in content.artifacts],
        environment=_environment(content.environment) if content.environment is not None else None,
        source=content.source,
        stage_by=version.moved.by if version.moved is not None else content.author,
        stage_at=timestamp(version.moved.at if version.moved is not None else content.at),
    )
    message.hyperparameters.update(content.hyperparameters)
    for name, configuration in content.flavors.items():
        message.flavors[name].update(configuration)
    return message


def fact_message(event: ModelEvent, position: int) -> pb.ModelFact:
    """An event as a fact of the model's history."""
    fact = pb.ModelFact(position=position, at=timestamp(event.at))
    match event:
        case ModelRegistered():
            fact.kind, fact.by, fact.description = pb.FACT_KIND_MODEL_REGISTERED, event.author, event.description
            fact.tags_set.update(event.tags)
        case ModelUpdated():
            fact.kind, fact.by, fact.description = pb.FACT_KIND_MODEL_UPDATED, event.by, event.description
        case ModelTagged():
            fact.kind, fact.by = pb.FACT_KIND_MODEL_TAGGED, event.by
            fact.tags_set.update(event.tags)
            fact.tags_removed.extend(event.removed)
        case ModelMoved():
            fact.kind, fact.by = pb.FACT_KIND_MODEL_MOVED, event.by
            fact.reason = f"from {event.old_place} to {event.place}"
        case ModelRenamed():
            fact.kind, fact.by = pb.FACT_KIND_MODEL_RENAMED, event.by
            fact.reason = f"from {event.old_name} to {event.name}"
        case ModelDeleted():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_MODEL_DELETED, event.by, event.reason
        case AliasSet():
            fact.kind, fact.by, fact.alias = pb.FACT_KIND_ALIAS_SET, event.by, event.alias
            fact.version, fact.from_version = event.version, event.from_version
        case AliasDeleted():
            fact.kind, fact.by, fact.alias = pb.FACT_KIND_ALIAS_DELETED, event.by, event.alias
            fact.version = event.version
        case (
            ChangeRequested()
            | ChangeEvidenceAttached()
            | ChangeReviewersAsked()
            | ChangeCommented()
            | ChangeReviewed()
            | ChangeWithdrawn()
            | ChangeApplied()
        ):
            fact.MergeFrom(change_messages.change_fact(event))
        case SlaSet():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_SLA_SET, event.by, event.reason
        case _:
            fact.MergeFrom(_version_fact(event))
    return fact


def _version_fact(
    event: VersionRegistered
    | VersionReviewed
    | VersionPromoted
    | VersionUpdated
    | VersionTagged
    | VersionDeleted
    | CardEdited
    | VersionSigned
    | RetirementAnnounced
    | RetirementObjected
    | RetirementCalledOff,
) -> pb.ModelFact:
    fact = pb.ModelFact(version=event.version)
    match event:
        case VersionRegistered():
            fact.kind, fact.by, fact.description = pb.FACT_KIND_VERSION_REGISTERED, event.author, event.description
            fact.tags_set.update(event.tags)
        case VersionReviewed():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_VERSION_REVIEWED, event.reviewer, event.comment
            fact.decision, fact.approval_id = DECISIONS[event.decision], event.approval_id
        case VersionPromoted():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_VERSION_PROMOTED, event.by, event.reason
            fact.from_stage, fact.to_stage = STAGES[event.from_stage], STAGES[event.to_stage]
            fact.approval_id, fact.change = event.approval_id, event.change
        case VersionUpdated():
            fact.kind, fact.by, fact.description = pb.FACT_KIND_VERSION_UPDATED, event.by, event.description
        case VersionSigned():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_VERSION_SIGNED, event.by, f"key {event.key}"
        case RetirementAnnounced():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_RETIREMENT_ANNOUNCED, event.by, event.reason
        case RetirementObjected():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_RETIREMENT_OBJECTED, event.by, event.reason
        case RetirementCalledOff():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_RETIREMENT_CALLED_OFF, event.by, event.reason
        case CardEdited():
            fact.kind, fact.by = pb.FACT_KIND_CARD_EDITED, event.by
            fact.reason = ", ".join(card_messages.named(event))
        case VersionTagged():
            fact.kind, fact.by = pb.FACT_KIND_VERSION_TAGGED, event.by
            fact.tags_set.update(event.tags)
            fact.tags_removed.extend(event.removed)
        case VersionDeleted():
            fact.kind, fact.by, fact.reason = pb.FACT_KIND_VERSION_DELETED, event.by, event.reason
        case _:
            assert_never(event)
    return fact


def _tensors(tensors: Sequence[Tensor]) -> list[pb.TensorSpec]:
    return [
        pb.TensorSpec(name=t.name, datatype=t.datatype, shape=t.shape, columns=t.columns, kinds=t.kinds)
        for t in tensors
    ]


def _review(review: VersionReviewed) -> pb.Review:
    return pb.Review(
        reviewer=review.reviewer,
        decision=DECISIONS[review.decision],
        comment=review.comment,
        at=timestamp(review.at),
        approval_id=review.approval_id,
    )


def _environment(environment: Environment) -> pb.ModelEnvironment:
    return pb.ModelEnvironment(
        python=environment.python,
        platform=environment.platform,
        packages=environment.packages,
        container_image=environment.container_image,
        git_commit=environment.git_commit,
    )
