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


@event("serving.BreakerOpened", version=1)
class BreakerOpened:
    """A process asks a version no more: so many requests of the last `window_s` failed, the last one for `why`."""

    deployment_id: str
    name: str
    model: str
    version: str
    model_digest: str
    failures: int
    requests: int
    window_s: int
    why: str
    at: datetime


@event("serving.BreakerClosed", version=1)
class BreakerClosed:
    """A process asks a version again, which it did not for `open_s`; `why` says what led to it."""

    deployment_id: str
    name: str
    model: str
    version: str
    model_digest: str
    open_s: float
    why: str
    at: datetime


FailureEvent = ModelFailed | BreakerOpened | BreakerClosed
