"""What is told of a model that failed."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event


@event("serving.ModelFailed", version=1)
class ModelFailed:
    """The process of a deployment's model was replaced; `cause` is "died", "hung" or "outgrew"."""

    deployment_id: str
    name: str
    model: str
    version: str
    model_digest: str
    cause: str
    text: str
    at: datetime


FailureEvent = ModelFailed
