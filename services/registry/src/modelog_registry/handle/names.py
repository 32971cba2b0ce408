"""Commands about names."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.name.commands import NameCommand, ReleaseName, TakeName
from modelog_registry.name.decide import Name
from modelog_registry.name.events import NameEvent


class Names:
    """The names of things of one kind, such as "experiment", of all tenants."""

    def __init__(self, entities: Entities[Name, NameCommand, NameEvent], kind: str) -> None:
        self._entities, self._kind = entities, kind

    async def owner(self, name: str, tenant: str) -> str:
        """The id of what has the name; empty when nothing has."""
        return await self.owner_of(self._id(name, tenant))

    async def owner_of(self, name_id: str) -> str:
        """The same, of a name by its own id."""
        taken = (await self._entities.current(name_id)).state.taken
        return taken.owner if taken is not None else ""

    async def take(self, name: str, owner: str, ctx: Context, *, unused_by: str = "") -> None:
        """Raises AlreadyExists when something else has it and is called so, or may be about to."""
        command = TakeName(self._kind, name, owner, unused_by)
        await self._entities.handle(self._id(name, ctx.tenant), command, ctx)

    async def release(self, name: str, owner: str, ctx: Context) -> None:
        await self._entities.handle(self._id(name, ctx.tenant), ReleaseName(self._kind, name, owner), ctx)

    def _id(self, name: str, tenant: str) -> str:
        return derived_id(tenant, self._kind, name)
