"""What happens to an experiment."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event


@event("registry.ExperimentCreated")
class ExperimentCreated:
    """An experiment got its name."""

    experiment_id: str
    name: str
    description: str
    author: str
    at: datetime


ExperimentEvent = ExperimentCreated
