"""The rules of models: unused versions, four eyes, and the way from development to production."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed
from modelog_common.domain.ids import derived_id

from modelog_registry.artifact import check_path
from modelog_registry.model.commands import ModelCommand, PromoteVersion, RegisterModel, RegisterVersion, ReviewVersion
from modelog_registry.model.events import (
    ModelEvent,
    ModelRegistered,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
)
from modelog_registry.model.signature import check_signature
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.model.state import Model, Version, evolve

# The tag by which a service says in whose name it registers a version.
SUBMITTED_BY = "submitted_by"
_VERBS = {Decision.APPROVED: "approve", Decision.REJECTED: "reject"}


def decide(model: Model, command: ModelCommand, ctx: Context) -> Sequence[ModelEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case RegisterModel():
            return register_model(model, command, ctx)
        case RegisterVersion():
            return register_version(model, command, ctx)
        case ReviewVersion():
            return review(model, command, ctx)
        case PromoteVersion():
            return promote(model, command, ctx)
        case _:
            assert_never(command)


def register_model(model: Model, command: RegisterModel, ctx: Context) -> Sequence[ModelEvent]:
    """The same name with the same description and tags is not an error."""
    known = model.registered
    if known is None:
        return [
            ModelRegistered(
                derived_id(ctx.tenant, command.name),
                command.name,
                command.description,
                ctx.actor,
                dict(command.tags),
                ctx.now,
            )
        ]
    if (known.description, known.tags) == (command.description, dict(command.tags)):
        return ()
    raise AlreadyExists(
        f"model {known.name!r} exists already with another description or other tags; {known.author} registered it"
    )


def register_version(model: Model, command: RegisterVersion, ctx: Context) -> Sequence[ModelEvent]:
    """Any version that is not in use; the same content under the same version by the same author is not an error."""
    named = model.named(command.model)
    check_path(command.artifact.path, "artifact.path")
    check_signature(command.signature)
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
        command.artifact,
        command.signature,
        dict(command.metrics),
        dict(command.tags),
        ctx.request_id,
        ctx.now,
    )
    known = model.versions.get(version)
    if known is None:
        return [wanted]
    if _content(wanted) == _content(known.content):
        return ()
    raise AlreadyExists(
        f"{known.title} exists already with other content, registered by {known.content.author}; "
        f"the next unused version is {model.next_version()}"
    )


def review(model: Model, command: ReviewVersion, ctx: Context) -> Sequence[ModelEvent]:
    """Four eyes: nobody reviews what they registered. The same review again is not an error."""
    candidate = model.version(command.model, command.version)
    if candidate.content.author == ctx.actor:
        verb = _VERBS[command.decision]
        raise NotAllowed(f"{ctx.actor} registered {candidate.title} and may not {verb} it; ask someone else")
    if candidate.stage is Stage.ARCHIVED:
        raise NotAllowed(f"{candidate.title} is archived, which is final; it takes no more reviews")
    if _is_last_review(candidate, command, ctx):
        return ()
    return [
        VersionReviewed(
            candidate.content.model_id,
            candidate.content.model,
            candidate.content.version,
            ctx.actor,
            command.decision,
            command.comment,
            dict(command.evidence),
            _approval_id(candidate, command, ctx),
            ctx.now,
        )
    ]


def promote(model: Model, command: PromoteVersion, ctx: Context) -> Sequence[ModelEvent]:
    """One stage after the other; asking twice is not an error."""
    candidate = model.version(command.model, command.version)
    stage = command.stage
    if candidate.stage is stage:
        return ()
    _check_review(candidate, stage)
    if stage not in candidate.stage.following:
        raise NotAllowed(f"{candidate.title} is {_ways_on(candidate.stage)}")
    return [
        VersionPromoted(
            candidate.content.model_id,
            candidate.content.model,
            candidate.content.version,
            candidate.stage,
            stage,
            candidate.approval_id if stage.needs_approval else "",
            command.reason,
            ctx.actor,
            ctx.now,
        )
    ]


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
    )


def _check_review(candidate: Version, stage: Stage) -> None:
    if Stage.ARCHIVED in (stage, candidate.stage):
        return
    last = candidate.last_review
    if last is not None and last.decision is Decision.REJECTED:
        raise NotAllowed(
            f"{last.reviewer} rejected {candidate.title} ({last.comment}); "
            f"it needs an approval before it goes to {stage}"
        )
    if stage.needs_approval and not candidate.approval_id:
        raise NotAllowed(f"{candidate.title} needs an approval by someone other than {candidate.content.author}")


def _ways_on(stage: Stage) -> str:
    if not stage.following:
        return f"{stage}, which is final"
    return f"in {stage}; it can go to {' or '.join(stage.following)}"


def _is_last_review(candidate: Version, command: ReviewVersion, ctx: Context) -> bool:
    last = candidate.last_review
    return last is not None and (last.reviewer, last.decision, last.comment, last.evidence) == (
        ctx.actor,
        command.decision,
        command.comment,
        dict(command.evidence),
    )


def _approval_id(candidate: Version, command: ReviewVersion, ctx: Context) -> str:
    if command.decision is Decision.REJECTED:
        return ""
    return derived_id("approval", ctx.request_id, candidate.content.model_id, candidate.content.version)


def _check_metrics(command: RegisterVersion) -> None:
    for name, value in command.metrics.items():
        if not math.isfinite(value):
            raise Invalid.field(f"metrics[{name!r}]", f"is {value}; the figures of a version must be finite numbers")


MODEL: Decider[Model, ModelCommand, ModelEvent] = Decider("registry.model", Model, decide, evolve)
