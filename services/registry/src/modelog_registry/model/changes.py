"""The rules of change requests: four eyes on what is asked and on what it leans on, and one who carries it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.errors import AlreadyExists, Conflict, Invalid, NotAllowed
from modelog_common.domain.ids import derived_id
from modelog_common.domain.semver import SemanticVersion

from modelog_registry.model import promotion
from modelog_registry.model.change_commands import (
    ApplyChange,
    AskReviewers,
    AttachEvidence,
    CommentChange,
    RequestChange,
    ReviewChange,
    WithdrawChange,
)
from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeDecision,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
    Evidence,
)
from modelog_registry.model.change_state import ChangeRequest, ChangeState
from modelog_registry.model.commands import PromoteVersion
from modelog_registry.model.events import ModelEvent
from modelog_registry.model.state import Model
from modelog_registry.model.version import told
from modelog_registry.rules import RULED

_RUNNING = (ChangeState.OPEN, ChangeState.APPROVED)


def request(model: Model, command: RequestChange, ctx: Context) -> Sequence[ModelEvent]:
    """One request at a time for a version and a stage, and the stage must be the next one."""
    candidate = model.version(command.model, command.version)
    if command.to_stage not in RULED:
        raise Invalid.field("to_stage", f"{command.to_stage} needs no request; allowed: {', '.join(RULED)}")
    if command.to_stage not in candidate.stage.following:
        raise NotAllowed(f"{candidate.title} is {promotion.ways_on(candidate.stage)}; {candidate.how}")
    content = candidate.content
    for other in model.changes.values():
        same = (other.requested.version, other.requested.to_stage) == (content.version, command.to_stage)
        if same and other.state in _RUNNING:
            raise AlreadyExists(
                f"{other.title} asks for {candidate.title} to go to {command.to_stage} already; "
                f"{other.requested.by} opened it at {told(other.requested.at)}"
            )
    _check_people(command, content.author, ctx.actor)
    names = [evidence.name for evidence in command.evidence]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Invalid.field("evidence", f"{twice!r} stands there twice; names must differ")
    return [
        ChangeRequested(
            content.model_id,
            content.model,
            content.version,
            len(model.changes) + 1,
            command.title,
            command.description,
            command.to_stage,
            command.deployment,
            command.risk,
            command.risk_reasons,
            command.reviewers,
            command.asked,
            command.evidence,
            ctx.actor,
            ctx.request_id,
            ctx.now,
        )
    ]


def attach(model: Model, command: AttachEvidence, ctx: Context) -> Sequence[ModelEvent]:
    """What is there already, and is still the same, is not an error."""
    change = _running(model, command.model, command.change)
    known = change.evidence.get(command.evidence.name)
    if known is not None and _seen(known.evidence) == _seen(command.evidence):
        return ()
    return [ChangeEvidenceAttached(*_of(change), command.evidence, ctx.actor, ctx.now)]


def ask(model: Model, command: AskReviewers, ctx: Context) -> Sequence[ModelEvent]:
    """Those who were asked before are not asked again."""
    change = _running(model, command.model, command.change)
    author = model.of(change.requested.version).content.author
    _check_reviewers(command.asked, "asked", author, change.requested.by)
    known = {*change.asked, *change.requested.reviewers}
    asked = tuple(person for person in dict.fromkeys(command.asked) if person not in known)
    return [ChangeReviewersAsked(*_of(change), asked, ctx.actor, ctx.now)] if asked else ()


def comment(model: Model, command: CommentChange, ctx: Context) -> Sequence[ModelEvent]:
    """Also when the request has ended."""
    change = model.change(command.model, command.change)
    return [ChangeCommented(*_of(change), command.comment, ctx.actor, ctx.now)]


def review(model: Model, command: ReviewChange, ctx: Context) -> Sequence[ModelEvent]:
    """Neither the version's author nor whoever asks reviews it; the same review again is not an error."""
    change = _running(model, command.model, command.change)
    candidate = model.version(command.model, SemanticVersion.parse(change.requested.version))
    if ctx.actor == candidate.content.author:
        raise NotAllowed(
            f"{ctx.actor} registered {candidate.title} and may not review {change.title}; ask someone else"
        )
    if ctx.actor == change.requested.by:
        raise NotAllowed(f"{ctx.actor} opened {change.title} and may not review it; ask another")
    _check_seen(change, command)
    last = change.last_words.get(ctx.actor)
    wanted = (command.decision, command.comment, change.evidence_revision)
    if last is not None and (last.review.decision, last.review.comment, last.review.evidence_revision) == wanted:
        return ()
    approves = command.decision is ChangeDecision.APPROVED
    approval_id = derived_id("approval", ctx.request_id, candidate.content.model_id, f"change {command.change}")
    return [ChangeReviewed(*_of(change), *wanted, approval_id if approves else "", ctx.actor, ctx.now)]


def withdraw(model: Model, command: WithdrawChange, ctx: Context) -> Sequence[ModelEvent]:
    """Whoever opened it; others may reject it."""
    change = model.change(command.model, command.change)
    if change.state is ChangeState.WITHDRAWN:
        return ()
    _running(model, command.model, command.change)
    if ctx.actor != change.requested.by:
        raise NotAllowed(f"{change.requested.by} opened {change.title} and may withdraw it; you may reject it")
    return [ChangeWithdrawn(*_of(change), command.reason, ctx.actor, ctx.now)]


def apply(model: Model, command: ApplyChange, ctx: Context) -> Sequence[ModelEvent]:
    """The promotion, decided with the request's approvals: who comes second is told who was first."""
    change = _running(model, command.model, command.change)
    wanted = change.requested
    version = SemanticVersion.parse(wanted.version)
    candidate = model.version(command.model, version)
    if candidate.stage is wanted.to_stage:
        raise Conflict(f"{candidate.title} is in {candidate.stage} already, without {change.title}; {candidate.how}")
    promoted = promotion.promote(
        model,
        PromoteVersion(
            command.model,
            version,
            wanted.to_stage,
            wanted.title,
            archive_others=command.archive_others,
            policy=command.policy,
        ),
        ctx,
        change,
        list(_refusals(change)),
    )
    approvals = tuple(given.review.approval_id for given in change.approvals)
    return [ChangeApplied(*_of(change), approvals, ctx.actor, ctx.now), *promoted]


def _seen(evidence: Evidence) -> tuple[str, ...]:
    """What it is, whenever it was looked at."""
    return evidence.kind, evidence.link, evidence.digest


def _of(change: ChangeRequest) -> tuple[str, str, str, int]:
    asked = change.requested
    return asked.model_id, asked.model, asked.version, asked.change


def _running(model: Model, name: str, number: int) -> ChangeRequest:
    """A request that has not ended; otherwise raises the error that says how it ended, by whom and when."""
    change = model.change(name, number)
    applied, withdrawn, rejection = change.applied, change.withdrawn, change.rejection
    if applied is not None:
        raise Conflict(f"{change.title} was applied by {applied.by} at {told(applied.at)}")
    if withdrawn is not None:
        raise NotAllowed(f"{change.title} was withdrawn by {withdrawn.by} at {told(withdrawn.at)}; open another")
    if rejection is not None:
        raise NotAllowed(
            f"{change.title} was rejected by {rejection.by} at {told(rejection.at)} ({rejection.comment}); open another"
        )
    return change


def _refusals(change: ChangeRequest) -> Iterator[str]:
    """Why the request itself cannot be applied, whatever the policy says."""
    for waits in change.waiting:
        yield f"{waits.by} asks for changes of {change.title} ({waits.comment})"
    last = change.last_words
    for reviewer in change.missing:
        given = last.get(reviewer)
        if given is not None and given.review.decision is ChangeDecision.APPROVED:
            renewed = change.last_evidence
            how = f"; {renewed.by} attached {renewed.evidence.name} at {told(renewed.at)}" if renewed else ""
            yield f"the approval of {change.title} by {reviewer} is of older evidence{how}"
        elif given is None:
            yield f"{change.title} needs the approval of {reviewer}"


def _check_seen(change: ChangeRequest, command: ReviewChange) -> None:
    if command.seen is None or command.seen == change.evidence_revision:
        return
    renewed = change.last_evidence
    how = f"; {renewed.by} attached {renewed.evidence.name} at {told(renewed.at)}" if renewed else ""
    raise Conflict(
        f"the evidence of {change.title} is at revision {change.evidence_revision}, not {command.seen}{how}; look again"
    )


def _check_people(command: RequestChange, author: str, actor: str) -> None:
    _check_reviewers(command.reviewers, "reviewers", author, actor)
    _check_reviewers(command.asked, "asked", author, actor)
    both = next((person for person in command.asked if person in command.reviewers), None)
    if both is not None:
        raise Invalid.field("asked", f"{both} is one of reviewers already")


def _check_reviewers(people: Sequence[str], field: str, author: str, opener: str) -> None:
    for n, person in enumerate(people):
        if person in (author, opener):
            did = "registered the version" if person == author else "opened the request"
            raise Invalid.field(f"{field}[{n}]", f"{person} {did} and may not review it; name others")
        if person in people[:n]:
            raise Invalid.field(f"{field}[{n}]", f"{person} stands there twice")
