"""A model as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from modelog_common.domain.errors import NotFound
from modelog_common.domain.semver import SemanticVersion

from modelog_registry.model.events import (
    ModelEvent,
    ModelRegistered,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
)
from modelog_registry.model.stage import Decision, Stage


@dataclass(frozen=True)
class Version:
    """One version: what was registered, and what became of it."""

    content: VersionRegistered
    updated_at: datetime
    stage: Stage = Stage.DEVELOPMENT
    reviews: tuple[VersionReviewed, ...] = ()

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


@dataclass(frozen=True)
class Model:
    """A model and its versions; before its first event it has no name."""

    registered: ModelRegistered | None = None
    versions: Mapping[SemanticVersion, Version] = field(default_factory=dict)

    def named(self, name: str) -> ModelRegistered:
        """Who registered the model; raises NotFound, which names it, when nobody did."""
        if self.registered is None:
            raise NotFound(f"there is no model {name!r}; register it first")
        return self.registered

    def version(self, name: str, version: SemanticVersion) -> Version:
        """One version; raises NotFound, which names model and version."""
        self.named(name)
        if version not in self.versions:
            newest = f"the newest is {max(self.versions)}" if self.versions else "it has none yet"
            raise NotFound(f"{name} has no version {version}; {newest}")
        return self.versions[version]

    def next_version(self) -> SemanticVersion:
        return max(self.versions).next_minor() if self.versions else SemanticVersion(1, 0, 0)

    def version_of_request(self, request_id: str) -> Version | None:
        """The version that a request registered."""
        return next((v for v in self.versions.values() if v.content.request_id == request_id), None)

    def with_version(self, version: Version) -> Model:
        key = SemanticVersion.parse(version.content.version)
        return replace(self, versions={**self.versions, key: version})

    def _of(self, version: str) -> Version:
        return self.versions[SemanticVersion.parse(version)]


def evolve(model: Model, event: ModelEvent) -> Model:
    """Fold one event."""
    match event:
        case ModelRegistered():
            return replace(model, registered=event)
        case VersionRegistered(at=at):
            return model.with_version(Version(event, at))
        case VersionReviewed(version=version, at=at):
            reviewed = model._of(version)
            return model.with_version(replace(reviewed, reviews=(*reviewed.reviews, event), updated_at=at))
        case VersionPromoted(version=version, to_stage=stage, at=at):
            return model.with_version(replace(model._of(version), stage=stage, updated_at=at))
        case _:
            assert_never(event)
