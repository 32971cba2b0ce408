"""What can be asked of a deployment's learning, with the facts about the deployment that the decision needs."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_serving.learning.events import Labels
from modelog_serving.learning.terms import Seen, Terms


@dataclass(frozen=True)
class Facts:
    """A deployment as it is now; `flavors` are those of the versions that answer, by version."""

    deployment_id: str
    name: str
    model: str
    flavors: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SetLearning:
    """Learn, pause or do not; without `terms` by those that hold."""

    facts: Facts
    mode: str
    terms: Terms | None = None
    reason: str = ""


@dataclass(frozen=True)
class RecordStep:
    """A version learned: its state was written, and is loaded wherever it answers."""

    deployment_id: str
    version: str
    registered_digest: str
    digest_before: str
    digest_after: str
    labels: Labels
    seen: Seen


@dataclass(frozen=True)
class StopLearning:
    """A version cannot go on learning."""

    deployment_id: str
    version: str
    registered_digest: str
    why: str


LearningCommand = SetLearning | RecordStep | StopLearning
