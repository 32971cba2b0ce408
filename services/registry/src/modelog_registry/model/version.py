"""One version of a model as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from modelog_registry.model.card import NOTHING, CardEdited, CardParts
from modelog_registry.model.change_state import ChangeRequest
from modelog_registry.model.events import VersionPromoted, VersionRegistered, VersionReviewed
from modelog_registry.model.retired import Retirement
from modelog_registry.model.signed import VersionSigned
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.rules import Candidate


@dataclass(frozen=True)
class Gone:
    """By whom something was deleted, and when."""

    by: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.by} deleted it at {told(self.at)}"


@dataclass(frozen=True)
class Version:
    """One version: what was registered, and what became of it; `number` counts a model's versions from 1."""

    content: VersionRegistered
    updated_at: datetime
    number: int
    description: str
    tags: Mapping[str, str]
    stage: Stage = Stage.DEVELOPMENT
    moved: VersionPromoted | None = None
    reviews: tuple[VersionReviewed, ...] = ()
    card: CardParts = NOTHING
    card_edited: CardEdited | None = None
    card_taken_from: str = ""
    signatures: tuple[VersionSigned, ...] = ()
    retirement: Retirement | None = None
    gone: Gone | None = None

    @property
    def title(self) -> str:
        """As messages name it: "flight-delay 1.0.0"."""
        return f"{self.content.model} {self.content.version}"

    @property
    def last_review(self) -> VersionReviewed | None:
        return self.reviews[-1] if self.reviews else None

    @property
    def approval_id(self) -> str:
        """The approval in force: that of the last review, empty when it rejected or when there is none."""
        last = self.last_review
        return last.approval_id if last is not None and last.decision is Decision.APPROVED else ""

    @property
    def judged(self) -> Candidate:
        """What the rules of promotions look at."""
        return self.judged_for(None)

    def judged_for(self, change: ChangeRequest | None) -> Candidate:
        """The same with the approvals of the change request that asks for the promotion.

        An approval stands until somebody rejects the version.
        """
        approvals = change.approvals if change is not None else ()
        since = max((n for n, r in enumerate(self.reviews) if r.decision is Decision.REJECTED), default=-1) + 1
        people = [review.reviewer for review in self.reviews[since:]]
        people += [given.review.by for given in approvals if given.after >= since]
        rejection = self.reviews[since - 1] if since and not people else None
        return Candidate(
            self.title,
            self.content.author,
            self.content.metrics,
            tuple(dict.fromkeys(people)),
            rejection.reviewer if rejection is not None else "",
            rejection.comment if rejection is not None else "",
            change.requested.change if change is not None else 0,
        )

    @property
    def how(self) -> str:
        """Who brought it to its stage, and when."""
        if self.moved is None:
            return f"{self.content.author} registered it at {told(self.content.at)}"
        return f"{self.moved.by} moved it there at {told(self.moved.at)}"


def told(at: datetime) -> str:
    """A time as messages tell it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
