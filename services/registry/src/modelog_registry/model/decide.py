"""What follows from a command to a model: which rule answers it, and the rules of registering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid

from modelog_registry.artifact import Artifact, check_path
from modelog_registry.model import changes, promotion, retirement, upkeep
from modelog_registry.model.card import EditCard
from modelog_registry.model.change_commands import (
    ApplyChange,
    AskReviewers,
    AttachEvidence,
    CommentChange,
    RequestChange,
    ReviewChange,
    WithdrawChange,
)
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    ModelCommand,
    MoveModel,
    PromoteVersion,
    RegisterModel,
    RegisterVersion,
    RenameModel,
    ReviewVersion,
    SetAlias,
    TagModel,
    TagVersion,
    UpdateModel,
    UpdateVersion,
)
from modelog_registry.model.events import ModelEvent, ModelRegistered, VersionRegistered
from modelog_registry.model.retired import ObjectToRetirement, ReviewRetirements, SetSla
from modelog_registry.model.signature import Signature, check_signature
from modelog_registry.model.signed import SignVersion
from modelog_registry.model.state import Model, evolve
from modelog_registry.names import check_model_name

# The tag by which a service says in whose name it registers a version.
SUBMITTED_BY = "submitted_by"


def decide(model: Model, command: ModelCommand, ctx: Context) -> Sequence[ModelEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case RegisterModel():
            return register_model(model, command, ctx)
        case RegisterVersion():
            return register_version(model, command, ctx)
        case ReviewVersion():
            return promotion.review(model, command, ctx)
        case PromoteVersion():
            return promotion.promote(model, command, ctx)
        case UpdateModel():
            return upkeep.update_model(model, command, ctx)
        case TagModel():
            return upkeep.tag_model(model, command, ctx)
        case MoveModel():
            return upkeep.move_model(model, command, ctx)
        case RenameModel():
            return upkeep.rename_model(model, command, ctx)
        case DeleteModel():
            return upkeep.delete_model(model, command, ctx)
        case UpdateVersion():
            return upkeep.update_version(model, command, ctx)
        case TagVersion():
            return upkeep.tag_version(model, command, ctx)
        case DeleteVersion():
            return upkeep.delete_version(model, command, ctx)
        case SetAlias():
            return upkeep.set_alias(model, command, ctx)
        case DeleteAlias():
            return upkeep.delete_alias(model, command, ctx)
        case EditCard():
            return upkeep.edit_card(model, command, ctx)
        case SignVersion():
            return upkeep.sign_version(model, command, ctx)
        case SetSla():
            return retirement.set_sla(model, command, ctx)
        case ReviewRetirements():
            return retirement.review_retirements(model, command, ctx)
        case ObjectToRetirement():
            return retirement.object_to(model, command, ctx)
        case RequestChange():
            return changes.request(model, command, ctx)
        case AttachEvidence():
            return changes.attach(model, command, ctx)
        case AskReviewers():
            return changes.ask(model, command, ctx)
        case CommentChange():
            return changes.comment(model, command, ctx)
        case ReviewChange():
            return changes.review(model, command, ctx)
        case WithdrawChange():
            return changes.withdraw(model, command, ctx)
        case ApplyChange():
            return changes.apply(model, command, ctx)
        case _:
            assert_never(command)


def register_model(model: Model, command: RegisterModel, ctx: Context) -> Sequence[ModelEvent]:
    """The same name with the same description and tags is not an error; a name that was deleted is taken up again."""
    check_model_name(command.name, "name")
    known = model.registered
    if known is None or model.gone is not None:
        return [
            ModelRegistered(
                command.model_id,
                command.name,
                command.description,
                ctx.actor,
                dict(command.tags),
                ctx.now,
                command.type,
                ctx.request_id,
                command.created_at,
                command.place,
            )
        ]
    if command.must_be_new:
        raise AlreadyExists(f"model {known.name!r} exists already; {known.author} registered it")
    if (known.description, known.tags, known.type) == (command.description, dict(command.tags), command.type):
        return ()
    raise AlreadyExists(
        f"model {known.name!r} exists already with another description or other tags; {known.author} registered it"
    )


def register_version(model: Model, command: RegisterVersion, ctx: Context) -> Sequence[ModelEvent]:
    """Any version that was never in use; the same content under the same version by the same author is not an error."""
    named = model.named(command.model)
    if not command.flavor:
        raise Invalid.field("flavor", "is missing; name what the files can be loaded as, such as xgboost")
    artifacts = _checked_artifacts(command)
    signature = _checked_signature(command)
    _check_metrics(command)
    version = command.version or model.next_version()
    wanted = VersionRegistered(
        named.model_id,
        named.name,
        str(version),
        _author(command, ctx),
        command.description,
        command.run_id,
        command.datasets,
        command.flavor,
        command.artifact or next(iter(artifacts), None),
        signature,
        dict(command.metrics),
        dict(command.tags),
        ctx.request_id,
        ctx.now,
        artifacts,
        dict(command.flavors),
        dict(command.hyperparameters),
        command.environment,
        command.source,
        command.created_at,
    )
    known = model.versions.get(version)
    if known is None:
        return [wanted]
    if known.gone is not None:
        raise AlreadyExists(
            f"{known.title} was there once; {known.gone}, and a version is never used again; "
            f"the next unused version is {model.next_version()}"
        )
    if _content(wanted) == _content(known.content):
        return ()
    raise AlreadyExists(
        f"{known.title} exists already with other content, registered by {known.content.author}; "
        f"the next unused version is {model.next_version()}"
    )


def _author(command: RegisterVersion, ctx: Context) -> str:
    """Who the version belongs to: the caller or, when a service calls, whoever asked the service for it.

    Otherwise the four eyes could be one pair: who submits a training job could review what it registers.
    """
    asked = command.tags.get(SUBMITTED_BY, "")
    return asked if asked and "service" in ctx.roles else ctx.actor


def _content(event: VersionRegistered) -> tuple[object, ...]:
    """What makes two registrations the same; when it was and under which request does not."""
    return (
        event.author,
        event.description,
        event.run_id,
        event.datasets,
        event.flavor,
        event.artifact,
        event.signature,
        event.metrics,
        event.tags,
        event.artifacts,
        event.flavors,
        event.hyperparameters,
        event.environment,
        event.source,
    )


def _checked_signature(command: RegisterVersion) -> Signature:
    if command.signature is not None:
        check_signature(command.signature)
        return command.signature
    if not command.flavors and not command.source:
        raise Invalid.field("signature", "is missing; only a version with flavors or a source may do without")
    return Signature((), ())


def _checked_artifacts(command: RegisterVersion) -> tuple[Artifact, ...]:
    """All files of the version: those that were listed, or the one artifact."""
    if command.artifact is not None:
        check_path(command.artifact.path, "artifact.path")
    elif not command.artifacts and not command.source:
        raise Invalid.field("artifact", "is missing; give an artifact, artifacts, or the source that they are at")
    seen: set[str] = set()
    for n, artifact in enumerate(command.artifacts):
        check_path(artifact.path, f"artifacts[{n}].path")
        if artifact.path in seen:
            raise Invalid.field(f"artifacts[{n}].path", f"{artifact.path!r} stands there twice; paths must differ")
        seen.add(artifact.path)
    if command.artifact is not None and command.artifacts and command.artifact not in command.artifacts:
        raise Invalid.field("artifact", f"{command.artifact.path!r} is not one of artifacts; it must be listed there")
    return command.artifacts or ((command.artifact,) if command.artifact is not None else ())


def _check_metrics(command: RegisterVersion) -> None:
    for name, value in command.metrics.items():
        if not math.isfinite(value):
            raise Invalid.field(f"metrics[{name!r}]", f"is {value}; the figures of a version must be finite numbers")


MODEL: Decider[Model, ModelCommand, ModelEvent] = Decider("registry.model", Model, decide, evolve)
