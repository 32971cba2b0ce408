"""What is known of a subject."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from modelog_gateway.subject.events import SubjectErased, SubjectEvent


@dataclass(frozen=True)
class Subject:
    """A subject; of one that was not erased the log says nothing."""

    erased_at: datetime | None = None


def evolve(subject: Subject, event: SubjectEvent) -> Subject:
    match event:
        case SubjectErased(at=at):
            return Subject(erased_at=at)
        case _:
            assert_never(event)
