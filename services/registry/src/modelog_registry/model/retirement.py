"""The rules of retirement and of service level targets, as far as they concern one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed

from modelog_registry.model.events import ModelEvent, VersionPromoted
from modelog_registry.model.retired import (
    ObjectToRetirement,
    RetirementAnnounced,
    RetirementCalledOff,
    RetirementObjected,
    RetirementState,
    ReviewRetirements,
    SetSla,
    SlaSet,
)
from modelog_registry.model.stage import Stage
from modelog_registry.model.state import Model
from modelog_registry.model.version import Version, told
from modelog_registry.retiring import Condition, RetirementRule, RetirementRules


def review_retirements(model: Model, command: ReviewRetirements, ctx: Context) -> Sequence[ModelEvent]:
    """What the rules say of each version now: nothing is archived that was not announced before."""
    if model.registered is None or model.gone is not None:
        return ()
    return [event for version in model.live for event in _reviewed(model, version, command.policy, ctx)]


def object_to(model: Model, command: ObjectToRetirement, ctx: Context) -> Sequence[ModelEvent]:
    """While it is announced; objecting twice is not an error."""
    version = model.version(command.model, command.version)
    retirement = version.retirement
    if retirement is not None and retirement.state is RetirementState.OBJECTED:
        return ()
    if retirement is None or retirement.state is not RetirementState.ANNOUNCED:
        raise NotAllowed(f"no retirement of {version.title} is announced; it is in {version.stage}; {version.how}")
    return [RetirementObjected(*_of(version), command.reason, ctx.actor, ctx.now)]


def set_sla(model: Model, command: SetSla, ctx: Context) -> Sequence[ModelEvent]:
    """The same targets again are not an error."""
    named, known, targets = model.named(command.model), model.sla, command.targets
    number = known.number if known is not None else 0
    if command.expected is not None and command.expected != number:
        how = f"{known.by} set it at {told(known.at)}" if known is not None else "nobody set any yet"
        raise Conflict(f"version {number} of the targets of {named.name} is in force, not {command.expected}; {how}")
    half, most = targets.latency_p50_ms, targets.latency_p99_ms
    if half is not None and most is not None and half > most:
        raise Invalid.field("targets.latency_p50_ms", f"is {half:g}, above latency_p99_ms {most:g}")
    if known is not None and known.targets == targets:
        return ()
    return [SlaSet(named.model_id, named.name, number + 1, targets, command.reason, ctx.actor, ctx.now)]


def _reviewed(model: Model, version: Version, policy: RetirementRules, ctx: Context) -> Iterator[ModelEvent]:
    retirement = version.retirement
    holds = next(((rule, why) for rule in policy.rules if (why := _why(model, version, rule, ctx.now))), None)
    if retirement is not None and retirement.state is RetirementState.ANNOUNCED:
        if holds is None:
            yield RetirementCalledOff(*_of(version), "no rule holds any more", ctx.actor, ctx.now)
        elif ctx.now >= retirement.announced.due:
            yield _archived(version, holds[1], ctx)
    elif holds is not None and not (retirement is not None and retirement.state is RetirementState.OBJECTED):
        rule, why = holds
        due = ctx.now + timedelta(days=rule.announce_days)
        yield RetirementAnnounced(*_of(version), why, due, policy.version, ctx.actor, ctx.now)


def _why(model: Model, version: Version, rule: RetirementRule, now: datetime) -> str:
    """Why a rule says that a version is to be retired; empty when it does not."""
    if version.stage is not rule.stage:
        return ""
    long_ago = now - timedelta(days=rule.after_days)
    if rule.condition is Condition.UNUSED:
        unused = version.updated_at <= long_ago and not model.aliases_of(version.content.version)
        return f"unused in {version.stage} since {told(version.updated_at)}" if unused else ""
    entered = (_entered(version), version.number)
    later = (other for other in model.live if other.stage is version.stage)
    newer = next((v for v in later if (_entered(v), v.number) > entered and _entered(v) <= long_ago), None)
    return f"{newer.title} took its place in {version.stage} at {told(_entered(newer))}" if newer is not None else ""


def _entered(version: Version) -> datetime:
    """When it came to its stage."""
    return version.moved.at if version.moved is not None else version.content.at


def _archived(version: Version, why: str, ctx: Context) -> VersionPromoted:
    return VersionPromoted(*_of(version), version.stage, Stage.ARCHIVED, "", f"retired: {why}", ctx.actor, ctx.now)


def _of(version: Version) -> tuple[str, str, str]:
    return version.content.model_id, version.content.model, version.content.version
