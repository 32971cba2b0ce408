"""A change request as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeDecision,
    ChangeEvent,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
    Evidence,
)


class ChangeState(StrEnum):
    """Where a request stands. It is approved when all who must have approved it, and nobody waits for changes."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    APPLIED = "applied"


@dataclass(frozen=True)
class Given:
    """A review, and how many reviews of the version itself came before it."""

    review: ChangeReviewed
    after: int


@dataclass(frozen=True)
class Attached:
    """A piece of evidence, who brought it, and when."""

    evidence: Evidence
    by: str
    at: datetime


@dataclass(frozen=True)
class ChangeRequest:
    """A request, what was said about it, and how it ended."""

    requested: ChangeRequested
    updated_at: datetime
    evidence: Mapping[str, Attached]
    evidence_revision: int = 1
    asked: tuple[str, ...] = ()
    comments: tuple[ChangeCommented, ...] = ()
    reviews: tuple[Given, ...] = ()
    withdrawn: ChangeWithdrawn | None = None
    applied: ChangeApplied | None = None
    last_evidence: ChangeEvidenceAttached | None = field(default=None)

    @property
    def title(self) -> str:
        """As messages name it: "change request 3 of flight-delay"."""
        return f"change request {self.requested.change} of {self.requested.model}"

    @property
    def last_words(self) -> Mapping[str, Given]:
        """The last review of each reviewer, in the order in which they were given."""
        words: dict[str, Given] = {}
        for given in self.reviews:
            words.pop(given.review.by, None)
            words[given.review.by] = given
        return words

    @property
    def approvals(self) -> tuple[Given, ...]:
        """Those in force: the last word of whoever gave it, on the evidence as it is now."""
        return tuple(given for given in self.in_force if given.review.decision is ChangeDecision.APPROVED)

    @property
    def in_force(self) -> tuple[Given, ...]:
        """Last words that count: all but approvals of older evidence."""
        now = self.evidence_revision
        return tuple(
            g
            for g in self.last_words.values()
            if g.review.decision is not ChangeDecision.APPROVED or g.review.evidence_revision == now
        )

    @property
    def waiting(self) -> tuple[ChangeReviewed, ...]:
        """The reviews that ask for changes, each until its reviewer says otherwise."""
        return tuple(g.review for g in self.last_words.values() if g.review.decision is ChangeDecision.CHANGES_ASKED)

    @property
    def rejection(self) -> ChangeReviewed | None:
        """The review that ended it."""
        return next((g.review for g in self.reviews if g.review.decision is ChangeDecision.REJECTED), None)

    @property
    def missing(self) -> tuple[str, ...]:
        """Those who must approve and have not, or not what it leans on now."""
        approved = {given.review.by for given in self.approvals}
        return tuple(reviewer for reviewer in self.requested.reviewers if reviewer not in approved)

    @property
    def state(self) -> ChangeState:
        if self.applied is not None:
            return ChangeState.APPLIED
        if self.withdrawn is not None:
            return ChangeState.WITHDRAWN
        if self.rejection is not None:
            return ChangeState.REJECTED
        if self.approvals and not self.missing and not self.waiting:
            return ChangeState.APPROVED
        return ChangeState.OPEN


def requested(event: ChangeRequested) -> ChangeRequest:
    """A request as it begins."""
    evidence = {e.name: Attached(e, event.by, event.at) for e in event.evidence}
    return ChangeRequest(event, event.at, evidence, asked=event.asked)


def evolve_change(change: ChangeRequest, event: ChangeEvent, reviews_of_version: int) -> ChangeRequest:
    """Fold one event; `reviews_of_version` says how many reviews of the version itself there are by then."""
    return replace(_evolve(change, event, reviews_of_version), updated_at=event.at)


def _evolve(change: ChangeRequest, event: ChangeEvent, reviews_of_version: int) -> ChangeRequest:
    match event:
        case ChangeRequested():
            return requested(event)
        case ChangeEvidenceAttached(evidence=evidence, by=by, at=at):
            attached = {**change.evidence, evidence.name: Attached(evidence, by, at)}
            revision = change.evidence_revision + 1
            return replace(change, evidence=attached, evidence_revision=revision, last_evidence=event)
        case ChangeReviewersAsked(asked=asked):
            return replace(change, asked=(*change.asked, *asked))
        case ChangeCommented():
            return replace(change, comments=(*change.comments, event))
        case ChangeReviewed():
            return replace(change, reviews=(*change.reviews, Given(event, reviews_of_version)))
        case ChangeWithdrawn():
            return replace(change, withdrawn=event)
        case ChangeApplied():
            return replace(change, applied=event)
        case _:
            assert_never(event)
