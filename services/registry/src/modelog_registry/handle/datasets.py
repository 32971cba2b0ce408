"""Commands about datasets."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.dataset.commands import DatasetCommand, RegisterDatasetVersion
from modelog_registry.dataset.events import DatasetEvent
from modelog_registry.dataset.state import Dataset


class Datasets:
    """All datasets of all tenants."""

    def __init__(self, entities: Entities[Dataset, DatasetCommand, DatasetEvent]) -> None:
        self._entities = entities

    async def register_version(self, command: RegisterDatasetVersion, ctx: Context) -> tuple[int, int]:
        """The version that holds the content, and the position at which the dataset then stands."""
        after = await self._entities.handle(derived_id(ctx.tenant, command.dataset), command, ctx)
        dataset = after.state
        registered = dataset.version_of_request(ctx.request_id)
        return (registered or dataset.versions[-1]).version, after.position
