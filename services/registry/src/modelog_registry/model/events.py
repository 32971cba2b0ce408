"""What happens to a model and its versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from modelog_common.events.types import event

from modelog_registry.artifact import Artifact
from modelog_registry.model.signature import Signature
from modelog_registry.model.stage import Decision, Stage


class DatasetRef(msgspec.Struct, frozen=True):
    """One version of a dataset."""

    dataset: str
    version: int


@event("registry.ModelRegistered")
class ModelRegistered:
    """A model got its name."""

    model_id: str
    name: str
    description: str
    author: str
    tags: dict[str, str]
    at: datetime


@event("registry.VersionRegistered")
class VersionRegistered:
    """A version was added, in stage development; `request_id` names the request that did it."""

    model_id: str
    model: str
    version: str
    author: str
    description: str
    run_id: str
    datasets: tuple[DatasetRef, ...]
    flavor: str
    artifact: Artifact
    signature: Signature
    metrics: dict[str, float]
    tags: dict[str, str]
    request_id: str
    at: datetime


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


@event("registry.VersionPromoted")
class VersionPromoted:
    """A version moved to another stage; `approval_id` names the approval that this leaned on, if it needed one."""

    model_id: str
    model: str
    version: str
    from_stage: Stage
    to_stage: Stage
    approval_id: str
    reason: str
    by: str
    at: datetime


ModelEvent = ModelRegistered | VersionRegistered | VersionReviewed | VersionPromoted
