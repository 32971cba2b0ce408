"""What a deployment has learned, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never

from modelog_serving.learning.events import LearningEvent, LearningSet, LearningStopped, ModelLearned
from modelog_serving.learning.terms import Seen, Terms

ON, PAUSED, OFF, STOPPED = "on", "paused", "off", "stopped"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Taught:
    """A version that learned: by which state it answers, and how it came there.

    `lately` is what was seen in the last steps that together have as many labels as the guard looks at; `stopped` says
    why it learns no more.
    """

    version: str
    registered_digest: str
    digest: str
    steps: int = 0
    labels: int = 0
    lately: tuple[Seen, ...] = ()
    stopped: str = ""


@dataclass(frozen=True)
class Learning:
    """`mode` is "" before it was ever set, then "on", "paused", "off", or "stopped" where every version that learned
    had to stop; `steps` is the number of the last one."""

    deployment_id: str = ""
    name: str = ""
    model: str = ""
    mode: str = ""
    terms: Terms = field(default_factory=Terms)
    reason: str = ""
    by: str = ""
    steps: int = 0
    taught: tuple[Taught, ...] = ()
    at: datetime = _EPOCH

    def of(self, version: str) -> Taught | None:
        """What a version has learned; None when it answers as it was registered."""
        return next((taught for taught in self.taught if taught.version == version), None)

    def digest(self, version: str, registered: str) -> str:
        """The SHA-256 of what answers for a version."""
        taught = self.of(version)
        return registered if taught is None else taught.digest


def evolve(learning: Learning, event: LearningEvent) -> Learning:
    match event:
        case LearningSet(mode=mode):
            taught = () if mode == OFF else learning.taught
            if mode == ON:
                taught = tuple(replace(each, stopped="") for each in taught)
            return replace(
                learning,
                deployment_id=event.deployment_id,
                name=event.name,
                model=event.model,
                mode=mode,
                terms=event.terms,
                reason=event.reason,
                by=event.by,
                taught=taught,
                at=event.at,
            )
        case ModelLearned(version=version):
            before = learning.of(version) or Taught(version, event.registered_digest, event.registered_digest)
            steps = (*before.lately, event.seen)
            after = replace(
                before,
                digest=event.digest_after,
                steps=before.steps + 1,
                labels=before.labels + event.labels.count,
                lately=_enough(steps, learning.terms.guard_labels),
            )
            return replace(_with(learning, after), steps=event.step, at=event.at)
        case LearningStopped(version=version, digest_after=digest, why=why):
            before = learning.of(version) or Taught(version, digest, digest)
            stopped = _with(learning, replace(before, digest=digest, lately=(), stopped=why))
            mode = STOPPED if all(each.stopped for each in stopped.taught) else learning.mode
            return replace(stopped, mode=mode, reason=why, at=event.at)
        case _:
            assert_never(event)


def _with(learning: Learning, taught: Taught) -> Learning:
    others = [each for each in learning.taught if each.version != taught.version]
    return replace(learning, taught=(*others, taught))


def _enough(steps: tuple[Seen, ...], labels: int) -> tuple[Seen, ...]:
    """The fewest of the last steps that have so many labels, or all."""
    found = 0
    for number in range(len(steps) - 1, -1, -1):
        found += steps[number].labels
        if found >= labels:
            return steps[number:]
    return steps
