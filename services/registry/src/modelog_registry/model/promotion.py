"""Reviews and promotions: four eyes, the way from development to production, and the policy in force."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, NotAllowed
from modelog_common.domain.ids import derived_id

from modelog_registry.model.change_state import ChangeRequest
from modelog_registry.model.commands import PromoteVersion, ReviewVersion
from modelog_registry.model.events import ModelEvent, VersionPromoted, VersionReviewed
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.model.state import Model
from modelog_registry.model.version import Version
from modelog_registry.rules import refusals

_VERBS = {Decision.APPROVED: "approve", Decision.REJECTED: "reject"}


def review(model: Model, command: ReviewVersion, ctx: Context) -> Sequence[ModelEvent]:
    """Four eyes: nobody reviews what they registered. The same review again is not an error."""
    candidate = model.version(command.model, command.version)
    if candidate.content.author == ctx.actor:
        verb = _VERBS[command.decision]
        raise NotAllowed(f"{ctx.actor} registered {candidate.title} and may not {verb} it; ask someone else")
    if candidate.stage is Stage.ARCHIVED:
        raise NotAllowed(f"{candidate.title} is archived, which is final; it takes no more reviews; {candidate.how}")
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


def promote(
    model: Model,
    command: PromoteVersion,
    ctx: Context,
    change: ChangeRequest | None = None,
    refused: Sequence[str] = (),
) -> Sequence[ModelEvent]:
    """One stage after the other; asking twice is not an error, unless the caller says where it stood before.

    The approvals of the change request that asks for it count too; `refused` is why that one cannot be applied.
    """
    candidate = model.version(command.model, command.version)
    stage = command.stage
    if command.expected is not None and candidate.stage is not command.expected:
        raise Conflict(
            f"{candidate.title} is not in {command.expected} any more but in {candidate.stage}; {candidate.how}"
        )
    if candidate.stage is stage:
        return ()
    if candidate.stage is not Stage.ARCHIVED:
        refused = [*refused, *refusals(candidate.judged_for(change), stage, ctx.now, command.policy.rules)]
        if refused:
            raise NotAllowed("; ".join(refused))
    if stage not in candidate.stage.following:
        raise NotAllowed(f"{candidate.title} is {ways_on(candidate.stage)}; {candidate.how}")
    replaced = [v for v in model.live if v.stage is stage] if command.archive_others else []
    number = change.requested.change if change is not None else 0
    approval_id = _leaned_on(candidate, change) if stage.needs_approval else ""
    return [
        _move(candidate, stage, approval_id, command.reason, command, ctx, number),
        *(_move(v, Stage.ARCHIVED, "", f"{candidate.title} took its place", command, ctx) for v in replaced),
    ]


def _leaned_on(candidate: Version, change: ChangeRequest | None) -> str:
    """The last approval of the request, or of the version itself."""
    given = change.approvals if change is not None else ()
    return given[-1].review.approval_id if given else candidate.approval_id


def _move(
    version: Version,
    stage: Stage,
    approval_id: str,
    reason: str,
    command: PromoteVersion,
    ctx: Context,
    change: int = 0,
) -> VersionPromoted:
    content = version.content
    return VersionPromoted(
        content.model_id,
        content.model,
        content.version,
        version.stage,
        stage,
        approval_id,
        reason,
        ctx.actor,
        ctx.now,
        command.policy.version,
        change,
        command.policy.workspace,
    )


def ways_on(stage: Stage) -> str:
    """Where a version in this stage can go."""
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
