"""The steps that a deployment's models took, as the log of events has them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from modelog_common.domain.errors import NotFound
from modelog_common.events.store import EventStore

from modelog_serving.events import EVENTS
from modelog_serving.learning.decide import LEARNINGS
from modelog_serving.learning.events import ModelLearned


class Steps:
    """Reads the streams of learning."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def after(self, deployment_id: str, step: int) -> AsyncIterator[ModelLearned]:
        """The steps beyond one, in order."""
        async for stored in self._store.read_stream(f"{LEARNINGS.category}-{deployment_id}"):
            event = EVENTS.decode(stored.type, stored.schema, stored.payload)
            if isinstance(event, ModelLearned) and event.step > step:
                yield event

    async def one(self, deployment_id: str, step: int) -> ModelLearned:
        """A step by its number; raises NotFound."""
        async for found in self.after(deployment_id, step - 1):
            if found.step == step:
                return found
            break
        raise NotFound(f"no model of this deployment took a step {step}")
