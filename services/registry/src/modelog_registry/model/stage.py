"""The stages of a model version's life, which follows which, and the kinds of models."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a version stands. Archived is final."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"

    @property
    def following(self) -> tuple[Stage, ...]:
        """The stages that can be reached from this one."""
        return _FOLLOWING[self]

    @property
    def needs_approval(self) -> bool:
        return self is Stage.PRODUCTION


class ModelType(StrEnum):
    """How a model learns."""

    UNSPECIFIED = ""
    SUPERVISED = "supervised"
    UNSUPERVISED = "unsupervised"
    REINFORCEMENT = "reinforcement"
    ENSEMBLE = "ensemble"


class Decision(StrEnum):
    """What a review ended with."""

    APPROVED = "approved"
    REJECTED = "rejected"


_FOLLOWING = {
    Stage.DEVELOPMENT: (Stage.STAGING, Stage.ARCHIVED),
    Stage.STAGING: (Stage.PRODUCTION, Stage.ARCHIVED),
    Stage.PRODUCTION: (Stage.ARCHIVED,),
    Stage.ARCHIVED: (),
}
