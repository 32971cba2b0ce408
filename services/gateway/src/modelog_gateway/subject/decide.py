"""The rules about subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider

from modelog_gateway.subject.commands import EraseSubject, SubjectCommand
from modelog_gateway.subject.events import SubjectErased, SubjectEvent
from modelog_gateway.subject.state import Subject, evolve


def decide(subject: Subject, command: SubjectCommand, ctx: Context) -> Sequence[SubjectEvent]:
    match command:
        case EraseSubject(name, reason):
            return erase(subject, name, reason, ctx)
        case _:
            assert_never(command)


def erase(subject: Subject, name: str, reason: str, ctx: Context) -> Sequence[SubjectEvent]:
    """Erasing again changes nothing. Nobody need be known by the name: nothing is kept of it from then on."""
    if subject.erased_at is not None:
        return ()
    return [SubjectErased(name, reason, ctx.actor, ctx.now)]


SUBJECTS: Decider[Subject, SubjectCommand, SubjectEvent] = Decider("gateway.subject", Subject, decide, evolve)
