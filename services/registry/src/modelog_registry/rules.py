"""What it takes for a version to go to a stage: reviewers, figures, and times in which nothing moves.

Both a promotion now and the replay of those that happened are judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from modelog_common.domain.errors import Invalid

from modelog_registry.model.stage import Stage

RULED = (Stage.STAGING, Stage.PRODUCTION)


class Threshold(msgspec.Struct, frozen=True):
    """What a metric must be; None is no limit."""

    metric: str
    minimum: float | None = None
    maximum: float | None = None


class StageRules(msgspec.Struct, frozen=True):
    """What it takes to go to a stage."""

    stage: Stage
    reviewers: int = 0
    thresholds: tuple[Threshold, ...] = ()
    # Only what a change request asked for.
    needs_request: bool = False


class Freeze(msgspec.Struct, frozen=True):
    """A time, without its end, in which nothing goes to these stages; none means all."""

    starts: datetime
    ends: datetime
    reason: str = ""
    stages: tuple[Stage, ...] = ()


class Rules(msgspec.Struct, frozen=True):
    """All rules; a stage that is not named has those that every platform begins with."""

    stages: tuple[StageRules, ...] = ()
    freezes: tuple[Freeze, ...] = ()

    def of(self, stage: Stage) -> StageRules:
        return next((rules for rules in self.stages if rules.stage is stage), _FIRST[stage])


class PolicyVersion(msgspec.Struct, frozen=True):
    """Rules, and which version of which policy they are: a workspace's own, or with an empty name the tenant's."""

    version: int = 0
    rules: Rules = Rules()
    workspace: str = ""


# What every platform begins with.
BEGINNING = PolicyVersion()
_FIRST = {
    Stage.DEVELOPMENT: StageRules(Stage.DEVELOPMENT),
    Stage.STAGING: StageRules(Stage.STAGING),
    Stage.PRODUCTION: StageRules(Stage.PRODUCTION, reviewers=1),
    Stage.ARCHIVED: StageRules(Stage.ARCHIVED),
}


@dataclass(frozen=True)
class Candidate:
    """What the rules look at: `approved_by` are those who approved since the last rejection, if that was not later.

    `change` is the number of the change request that asks for the promotion, 0 when none does.
    """

    title: str
    author: str
    metrics: Mapping[str, float]
    approved_by: tuple[str, ...] = ()
    rejected_by: str = ""
    rejection: str = ""
    change: int = 0


def refusals(candidate: Candidate, stage: Stage, at: datetime, rules: Rules) -> list[str]:
    """Why the rules keep a version from a stage at a time; none when they do not. Archiving is always allowed."""
    if stage not in RULED:
        return []
    wanted = rules.of(stage)
    return [
        *_of_request(candidate, wanted),
        *_of_reviews(candidate, wanted),
        *(told for threshold in wanted.thresholds for told in _of_metric(candidate, threshold, stage)),
        *_of_freezes(candidate, stage, at, rules),
    ]


def check_rules(rules: Rules) -> None:
    """Raises Invalid, naming the rule that contradicts itself or four eyes."""
    seen: set[Stage] = set()
    for n, stage in enumerate(rules.stages):
        _check_stage(stage, f"rules.stages[{n}]", seen)
    for n, freeze in enumerate(rules.freezes):
        if freeze.ends <= freeze.starts:
            raise Invalid.field(f"rules.freezes[{n}].ends", "is not after starts; a window ends after it starts")
        wrong = next((stage for stage in freeze.stages if stage not in RULED), None)
        if wrong is not None:
            raise Invalid.field(f"rules.freezes[{n}].stages", f"{wrong} has no rules; allowed: {_allowed()}")


def _check_stage(stage: StageRules, field: str, seen: set[Stage]) -> None:
    if stage.stage not in RULED:
        raise Invalid.field(f"{field}.stage", f"{stage.stage} has no rules; allowed: {_allowed()}")
    if stage.stage in seen:
        raise Invalid.field(f"{field}.stage", f"{stage.stage} stands there twice")
    seen.add(stage.stage)
    if stage.stage is Stage.PRODUCTION and stage.reviewers < 1:
        raise Invalid.field(f"{field}.reviewers", f"is {stage.reviewers}; production takes four eyes: 1 or more")
    for n, threshold in enumerate(stage.thresholds):
        low, high = threshold.minimum, threshold.maximum
        if low is None and high is None:
            raise Invalid.field(f"{field}.thresholds[{n}]", "has no limit; give minimum or maximum")
        if low is not None and high is not None and not low <= high:
            raise Invalid.field(f"{field}.thresholds[{n}].maximum", f"is {high:g}, below the minimum {low:g}")


def _allowed() -> str:
    return ", ".join(RULED)


def _of_request(candidate: Candidate, wanted: StageRules) -> Iterator[str]:
    if wanted.needs_request and not candidate.change:
        yield f"{candidate.title} goes to {wanted.stage} by a change request only; open one"


def _of_reviews(candidate: Candidate, wanted: StageRules) -> Iterator[str]:
    if candidate.rejected_by:
        yield (
            f"{candidate.rejected_by} rejected {candidate.title} ({candidate.rejection}); "
            f"it needs an approval before it goes to {wanted.stage}"
        )
        return
    if len(candidate.approved_by) >= wanted.reviewers:
        return
    if wanted.reviewers == 1:
        yield f"{candidate.title} needs an approval by someone other than {candidate.author}"
        return
    has = f"{len(candidate.approved_by)}, by {', '.join(candidate.approved_by)}" if candidate.approved_by else "none"
    yield (
        f"{candidate.title} needs {wanted.reviewers} approvals by people other than {candidate.author} before it "
        f"goes to {wanted.stage}; it has {has}"
    )


def _of_metric(candidate: Candidate, threshold: Threshold, stage: Stage) -> Iterator[str]:
    value = candidate.metrics.get(threshold.metric)
    if value is None:
        yield f"{candidate.title} has no metric {threshold.metric!r}, which {stage} needs"
        return
    for limit, word, kept in (
        (threshold.minimum, "at least", threshold.minimum is None or value >= threshold.minimum),
        (threshold.maximum, "at most", threshold.maximum is None or value <= threshold.maximum),
    ):
        if not kept:
            yield f"{threshold.metric} of {candidate.title} is {value:g}; {stage} needs {word} {limit:g}"


def _of_freezes(candidate: Candidate, stage: Stage, at: datetime, rules: Rules) -> Iterator[str]:
    for freeze in rules.freezes:
        if freeze.starts <= at < freeze.ends and (not freeze.stages or stage in freeze.stages):
            why = f": {freeze.reason}" if freeze.reason else ""
            yield (
                f"{candidate.title} cannot go to {stage} now; promotions are frozen from "
                f"{freeze.starts:%Y-%m-%d %H:%M} to {freeze.ends:%Y-%m-%d %H:%M} UTC{why}"
            )
