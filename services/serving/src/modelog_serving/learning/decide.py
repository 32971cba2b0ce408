"""What follows from a command about learning, or why it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed

from modelog_serving.learning.commands import LearningCommand, RecordStep, SetLearning, StopLearning
from modelog_serving.learning.events import LearningEvent, LearningSet, LearningStopped, ModelLearned
from modelog_serving.learning.state import OFF, ON, PAUSED, STOPPED, Learning, Taught, evolve
from modelog_serving.learning.terms import Seen, check_terms, far_worse, together

FLAVOR = "river"
NOTHING = Seen(0, 0.0, 0.0, 0.0)


def decide(learning: Learning, command: LearningCommand, ctx: Context) -> Sequence[LearningEvent]:
    match command:
        case SetLearning():
            return set_learning(learning, command, ctx)
        case RecordStep():
            return record_step(learning, command, ctx)
        case StopLearning():
            return stop(learning, command, ctx)
        case _:
            assert_never(command)


def set_learning(learning: Learning, command: SetLearning, ctx: Context) -> Sequence[LearningEvent]:
    facts, mode = command.facts, command.mode
    if mode not in (ON, PAUSED, OFF):
        raise Invalid.field("mode", f"is {mode!r}; it must be {ON}, {PAUSED} or {OFF}")
    terms = command.terms or learning.terms
    check_terms(terms)
    if mode == ON:
        for version, flavor in facts.flavors:
            if flavor != FLAVOR:
                raise NotAllowed(
                    f"{facts.model} {version}, which answers for {facts.name}, is a model of flavor {flavor!r}; "
                    f"only models of {FLAVOR} learn online"
                )
    elif mode == PAUSED and learning.mode not in (ON, PAUSED, STOPPED):
        raise NotAllowed(f"deployment {facts.name} does not learn, so there is nothing to pause; turn it on first")
    elif mode == OFF and learning.mode in ("", OFF):
        return ()
    stopped = any(each.stopped for each in learning.taught)
    if (learning.mode, learning.terms) == (mode, terms) and not (mode == ON and stopped):
        return ()
    told = (facts.deployment_id, facts.name, facts.model)
    return [LearningSet(*told, mode, terms, command.reason, ctx.actor, ctx.now)]


def record_step(learning: Learning, command: RecordStep, ctx: Context) -> Sequence[LearningEvent]:
    """The step; and, when what learned is now far worse than what was registered, that it stops and goes back to that:
    of all states it is the one that is known to do better on these labels."""
    _must_learn(learning, command.version)
    now = learning.digest(command.version, command.registered_digest)
    if command.digest_before != now:
        raise Conflict(f"{learning.model} {command.version} answers by {now} now; the step was from another state")
    if not command.labels.count:
        raise Invalid.field("labels", "has none: nothing was learned")
    learned = ModelLearned(
        deployment_id=learning.deployment_id,
        name=learning.name,
        model=learning.model,
        version=command.version,
        step=learning.steps + 1,
        registered_digest=command.registered_digest,
        digest_before=command.digest_before,
        digest_after=command.digest_after,
        labels=command.labels,
        seen=command.seen,
        at=ctx.now,
    )
    after = evolve(learning, learned)
    taught = after.of(command.version)
    if taught is None:
        raise AssertionError("a step leaves a version that was taught")
    seen = together(taught.lately)
    if not far_worse(learning.terms, seen):
        return [learned]
    why = (
        f"on the last {seen.labels} labels its error was {seen.error:.4g}, that of the version as it was registered "
        f"{seen.registered_error:.4g}: more than {learning.terms.worst_ratio:g} times as much"
    )
    return [learned, _stopped(after, taught, taught.registered_digest, seen, why, ctx)]


def stop(learning: Learning, command: StopLearning, ctx: Context) -> Sequence[LearningEvent]:
    """It answers on by the state that it has."""
    _must_learn(learning, command.version)
    registered = command.registered_digest
    taught = learning.of(command.version) or Taught(command.version, registered, registered)
    return [_stopped(learning, taught, taught.digest, NOTHING, command.why, ctx)]


def _stopped(learning: Learning, taught: Taught, back: str, seen: Seen, why: str, ctx: Context) -> LearningStopped:
    return LearningStopped(
        deployment_id=learning.deployment_id,
        name=learning.name,
        model=learning.model,
        version=taught.version,
        step=learning.steps,
        digest_before=taught.digest,
        digest_after=back,
        seen=seen,
        why=why,
        at=ctx.now,
    )


def _must_learn(learning: Learning, version: str) -> None:
    taught = learning.of(version)
    if learning.mode != ON or (taught is not None and taught.stopped):
        raise NotAllowed(f"{learning.model} {version} does not learn in {learning.name or 'any deployment'} now")


LEARNINGS: Decider[Learning, LearningCommand, LearningEvent] = Decider("serving.learning", Learning, decide, evolve)
