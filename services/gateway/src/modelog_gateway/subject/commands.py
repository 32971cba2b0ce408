"""What can be asked of a subject."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EraseSubject:
    subject: str
    reason: str


SubjectCommand = EraseSubject
