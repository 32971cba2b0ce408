"""What can happen to a deployment that learns."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.events.types import event

from modelog_serving.learning.terms import Seen, Terms


class Labels(msgspec.Struct, frozen=True):
    """The labels of a step, in the order in which they were learned: a file of the artifact store with this SHA-256."""

    digest: str
    count: int


@event("serving.LearningSet", version=1)
class LearningSet:
    """From now on the deployment's models learn ("on"), answer as they are while labels wait ("paused"), or answer as
    their versions were registered ("off")."""

    deployment_id: str
    name: str
    model: str
    mode: str
    terms: Terms
    reason: str
    by: str
    at: datetime


@event("serving.ModelLearned", version=1)
class ModelLearned:
    """A version answers from now on by the state with the SHA-256 `digest_after`, which is what `digest_before` became
    when it learned these labels.

    `registered_digest` is the version's own file, which is `digest_before` of its first step. Steps of a deployment
    count from 1.
    """

    deployment_id: str
    name: str
    model: str
    version: str
    step: int
    registered_digest: str
    digest_before: str
    digest_after: str
    labels: Labels
    seen: Seen
    at: datetime


@event("serving.LearningStopped", version=1)
class LearningStopped:
    """A version learns no more until somebody sets it to, and answers by the state `digest_after`; `why` says what led
    to it, `step` is the last that was taken, `seen` what was held against the version when it stopped."""

    deployment_id: str
    name: str
    model: str
    version: str
    step: int
    digest_before: str
    digest_after: str
    seen: Seen
    why: str
    at: datetime


LearningEvent = LearningSet | ModelLearned | LearningStopped
