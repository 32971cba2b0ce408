"""What happens to a model and its versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from modelog_common.events.types import event

from modelog_registry.artifact import Artifact
from modelog_registry.model.card import CardEdited
from modelog_registry.model.change_events import ChangeEvent
from modelog_registry.model.retired import RetirementAnnounced, RetirementCalledOff, RetirementObjected, SlaSet
from modelog_registry.model.signature import Signature
from modelog_registry.model.signed import VersionSigned
from modelog_registry.model.stage import Decision, ModelType, Stage
from modelog_registry.place import DEFAULT_PLACE, Place


class DatasetRef(msgspec.Struct, frozen=True):
    """One version of a dataset."""

    dataset: str
    version: int


class Environment(msgspec.Struct, frozen=True):
    """What a version was made in; `packages` is package name to version."""

    python: str
    platform: str
    packages: dict[str, str]
    container_image: str
    git_commit: str


@event("registry.ModelRegistered", version=4)
class ModelRegistered:
    """A model got its name, for the first time or after it was deleted.

    `created_at` is what its author said of when it was created elsewhere, None when it said nothing.
    """

    model_id: str
    name: str
    description: str
    author: str
    tags: dict[str, str]
    at: datetime
    type: ModelType = ModelType.UNSPECIFIED
    request_id: str = ""
    created_at: datetime | None = None
    place: Place = DEFAULT_PLACE


@event("registry.VersionRegistered", version=3)
class VersionRegistered:
    """A version was added, in stage development; `request_id` names the request that did it.

    `artifact` is the model itself, one of `artifacts`; a version that only names its `source` has neither.
    `created_at` is what its author said of when it was created elsewhere, None when it said nothing.
    """

    model_id: str
    model: str
    version: str
    author: str
    description: str
    run_id: str
    datasets: tuple[DatasetRef, ...]
    flavor: str
    artifact: Artifact | None
    signature: Signature
    metrics: dict[str, float]
    tags: dict[str, str]
    request_id: str
    at: datetime
    artifacts: tuple[Artifact, ...] = ()
    flavors: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    hyperparameters: dict[str, Any] = msgspec.field(default_factory=dict)
    environment: Environment | None = None
    source: str = ""
    created_at: datetime | None = None


@event("registry.VersionReviewed")
class VersionReviewed:
    """Someone other than the author approved or rejected a version; only an approval has an `approval_id`."""

    model_id: str
    model: str
    version: str
    reviewer: str
    decision: Decision
    comment: str
    evidence: dict[str, Any]
    approval_id: str
    at: datetime


@event("registry.VersionPromoted", version=4)
class VersionPromoted:
    """A version moved to another stage; `approval_id` names the approval that this leaned on, if it needed one.

    `policy_version` is the version of the promotion policy under which it was decided; 0 is what platforms begin with.
    `policy_workspace` is the workspace whose policy that is; empty for the tenant's.
    `change` is the number of the change request that asked for it; 0 when none did.
    """

    model_id: str
    model: str
    version: str
    from_stage: Stage
    to_stage: Stage
    approval_id: str
    reason: str
    by: str
    at: datetime
    policy_version: int = 0
    change: int = 0
    policy_workspace: str = ""


@event("registry.ModelUpdated")
class ModelUpdated:
    """A model was described anew."""

    model_id: str
    model: str
    description: str
    type: ModelType
    by: str
    at: datetime


@event("registry.ModelTagged")
class ModelTagged:
    """Tags of a model were set, others taken away."""

    model_id: str
    model: str
    tags: dict[str, str]
    removed: tuple[str, ...]
    by: str
    at: datetime


@event("registry.ModelMoved")
class ModelMoved:
    """A model belongs to another project from now on."""

    model_id: str
    model: str
    old_place: Place
    place: Place
    by: str
    at: datetime


@event("registry.ModelRenamed")
class ModelRenamed:
    """A model is called otherwise from now on, and so is what it holds.

    `versions` are those that are there, `changes` is how many change requests there are.
    """

    model_id: str
    old_name: str
    name: str
    versions: tuple[str, ...]
    changes: int
    by: str
    at: datetime
    request_id: str = ""


@event("registry.ModelDeleted")
class ModelDeleted:
    """A model was hidden with all its versions."""

    model_id: str
    model: str
    reason: str
    by: str
    at: datetime


@event("registry.VersionUpdated")
class VersionUpdated:
    """A version was described anew."""

    model_id: str
    model: str
    version: str
    description: str
    by: str
    at: datetime


@event("registry.VersionTagged")
class VersionTagged:
    """Tags of a version were set, others taken away."""

    model_id: str
    model: str
    version: str
    tags: dict[str, str]
    removed: tuple[str, ...]
    by: str
    at: datetime


@event("registry.VersionDeleted")
class VersionDeleted:
    """A version was hidden; its number is never used again."""

    model_id: str
    model: str
    version: str
    reason: str
    by: str
    at: datetime


@event("registry.AliasSet")
class AliasSet:
    """An alias points to a version; `from_version` is where it pointed before, or empty."""

    model_id: str
    model: str
    alias: str
    version: str
    from_version: str
    by: str
    at: datetime


@event("registry.AliasDeleted")
class AliasDeleted:
    """An alias, which pointed to this version, is gone."""

    model_id: str
    model: str
    alias: str
    version: str
    by: str
    at: datetime


ModelEvent = (
    ModelRegistered
    | VersionRegistered
    | VersionReviewed
    | VersionPromoted
    | ModelUpdated
    | ModelTagged
    | ModelMoved
    | ModelRenamed
    | ModelDeleted
    | VersionUpdated
    | VersionTagged
    | VersionDeleted
    | AliasSet
    | AliasDeleted
    | CardEdited
    | VersionSigned
    | SlaSet
    | RetirementAnnounced
    | RetirementObjected
    | RetirementCalledOff
    | ChangeEvent
)
