"""Every event type that the registry writes, and how older versions of them are read."""

from __future__ import annotations

from modelog_common.events.types import EventTypes

from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.experiment.events import ExperimentCreated
from modelog_registry.model.events import ModelRegistered, VersionPromoted, VersionRegistered, VersionReviewed
from modelog_registry.run.events import RunEnded, RunLogged, RunStarted

TYPES = (
    ModelRegistered,
    VersionRegistered,
    VersionReviewed,
    VersionPromoted,
    ExperimentCreated,
    RunStarted,
    RunLogged,
    RunEnded,
    DatasetVersionRegistered,
)
EVENTS = EventTypes(TYPES)
