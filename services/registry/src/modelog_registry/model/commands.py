"""What may be asked of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelog_common.domain.semver import SemanticVersion

from modelog_registry.artifact import Artifact
from modelog_registry.model.events import DatasetRef
from modelog_registry.model.signature import Signature
from modelog_registry.model.stage import Decision, Stage


@dataclass(frozen=True)
class RegisterModel:
    """Give a model its name."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RegisterVersion:
    """Add a version; `version` None takes the next one."""

    model: str
    version: SemanticVersion | None
    flavor: str
    artifact: Artifact
    signature: Signature
    description: str = ""
    run_id: str = ""
    datasets: tuple[DatasetRef, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReviewVersion:
    """Approve or reject a version."""

    model: str
    version: SemanticVersion
    decision: Decision
    comment: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PromoteVersion:
    """Move a version to another stage."""

    model: str
    version: SemanticVersion
    stage: Stage
    reason: str = ""


ModelCommand = RegisterModel | RegisterVersion | ReviewVersion | PromoteVersion
