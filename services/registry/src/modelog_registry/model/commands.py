"""What may be asked of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelog_common.domain.semver import SemanticVersion

from modelog_registry.artifact import Artifact
from modelog_registry.model.card import EditCard
from modelog_registry.model.change_commands import ChangeCommand
from modelog_registry.model.events import DatasetRef, Environment
from modelog_registry.model.retired import ObjectToRetirement, ReviewRetirements, SetSla
from modelog_registry.model.signature import Signature
from modelog_registry.model.signed import SignVersion
from modelog_registry.model.stage import Decision, ModelType, Stage
from modelog_registry.place import DEFAULT_PLACE, Place
from modelog_registry.rules import BEGINNING, PolicyVersion


@dataclass(frozen=True)
class RegisterModel:
    """Give a model its name; with `must_be_new` one that is there already is an error, whatever its description."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    type: ModelType = ModelType.UNSPECIFIED
    must_be_new: bool = False
    created_at: datetime | None = None
    place: Place = DEFAULT_PLACE
    model_id: str = ""


@dataclass(frozen=True)
class RegisterVersion:
    """Add a version; `version` None takes the next one.

    Only a version with flavors or a source may have no signature: it was made for another tool, and cannot be served.
    """

    model: str
    version: SemanticVersion | None
    flavor: str
    artifact: Artifact | None
    signature: Signature | None
    description: str = ""
    run_id: str = ""
    datasets: tuple[DatasetRef, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    flavors: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    environment: Environment | None = None
    source: str = ""
    created_at: datetime | None = None


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
    """Move a version to another stage, by the rules of `policy`.

    `expected` is the stage that it is in as far as the caller knows.
    """

    model: str
    version: SemanticVersion
    stage: Stage
    reason: str = ""
    expected: Stage | None = None
    archive_others: bool = False
    policy: PolicyVersion = BEGINNING


@dataclass(frozen=True)
class UpdateModel:
    """Describe a model anew; what is None stays."""

    model: str
    description: str | None = None
    type: ModelType | None = None


@dataclass(frozen=True)
class TagModel:
    """Set tags of a model, and take others away."""

    model: str
    tags: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class MoveModel:
    """Put a model in another project, which is there."""

    model: str
    place: Place


@dataclass(frozen=True)
class RenameModel:
    """Call a model otherwise; the new name is its own already. `deployments` are those that serve it by its name."""

    model: str
    name: str
    deployments: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeleteModel:
    """Hide a model with all its versions."""

    model: str
    reason: str = ""


@dataclass(frozen=True)
class UpdateVersion:
    """Describe a version anew; None leaves it as it is."""

    model: str
    version: SemanticVersion
    description: str | None = None


@dataclass(frozen=True)
class TagVersion:
    """Set tags of a version, and take others away."""

    model: str
    version: SemanticVersion
    tags: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeleteVersion:
    """Hide a version."""

    model: str
    version: SemanticVersion
    reason: str = ""


@dataclass(frozen=True)
class SetAlias:
    """Point an alias to a version; `expected` is where it points as far as the caller knows, "" for nowhere."""

    model: str
    alias: str
    version: SemanticVersion
    expected: str | None = None


@dataclass(frozen=True)
class DeleteAlias:
    """Take an alias away."""

    model: str
    alias: str


ModelCommand = (
    RegisterModel
    | RegisterVersion
    | ReviewVersion
    | PromoteVersion
    | UpdateModel
    | TagModel
    | MoveModel
    | RenameModel
    | DeleteModel
    | UpdateVersion
    | TagVersion
    | DeleteVersion
    | SetAlias
    | DeleteAlias
    | EditCard
    | SignVersion
    | SetSla
    | ReviewRetirements
    | ObjectToRetirement
    | ChangeCommand
)
