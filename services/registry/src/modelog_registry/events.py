"""Every event type that the registry writes, and how older versions of them are read."""

from __future__ import annotations

from modelog_common.events.types import EventTypes, Json

from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.experiment.events import ExperimentCreated
from modelog_registry.model.events import (
    AliasDeleted,
    AliasSet,
    ModelDeleted,
    ModelRegistered,
    ModelTagged,
    ModelUpdated,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
    VersionTagged,
    VersionUpdated,
)
from modelog_registry.policy.events import PromotionPolicySet
from modelog_registry.run.events import RunEnded, RunLogged, RunStarted

TYPES = (
    ModelRegistered,
    VersionRegistered,
    VersionReviewed,
    VersionPromoted,
    ModelUpdated,
    ModelTagged,
    ModelDeleted,
    VersionUpdated,
    VersionTagged,
    VersionDeleted,
    AliasSet,
    AliasDeleted,
    PromotionPolicySet,
    ExperimentCreated,
    RunStarted,
    RunLogged,
    RunEnded,
    DatasetVersionRegistered,
)


def _version_of_one_file(fields: Json) -> Json:
    """Before version 2 a version was one file."""
    return {**fields, "artifacts": [fields["artifact"]]}


EVENTS = EventTypes(
    TYPES,
    {
        # What was added since has a value that says "not told".
        ("registry.ModelRegistered", 1): lambda fields: fields,
        ("registry.VersionRegistered", 1): _version_of_one_file,
        ("registry.VersionPromoted", 1): lambda fields: fields,
    },
)
