"""Commands about names, and which thing of a kind has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from modelog_common.domain.context import Context
from modelog_common.domain.errors import AlreadyExists
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities, Loaded

from modelog_registry.name.commands import NameCommand, ReleaseName, TakeName
from modelog_registry.name.decide import Name
from modelog_registry.name.events import NameEvent, NameTaken

State = TypeVar("State")
TRIES = 3


class Names:
    """The names of things of one kind, such as "experiment", of all tenants."""

    def __init__(self, entities: Entities[Name, NameCommand, NameEvent], kind: str) -> None:
        self._entities, self._kind = entities, kind

    async def owner(self, name: str, tenant: str) -> str:
        """The id of what has the name; empty when nothing has."""
        taken = await self.taken(self._id(name, tenant))
        return taken.owner if taken is not None else ""

    async def taken(self, name_id: str) -> NameTaken | None:
        """Who has a name, by its own id, of whatever kind; None when it is free."""
        return (await self._entities.current(name_id)).state.taken

    async def owners(self, name: str, tenant: str) -> Sequence[str]:
        """The ids of all that have the name, or had it."""
        return (await self._entities.current(self._id(name, tenant))).state.owners

    async def take(self, name: str, owner: str, ctx: Context, *, unused_by: str = "") -> None:
        """Raises AlreadyExists when something else has it and is called so, or may be about to."""
        command = TakeName(self._kind, name, owner, unused_by)
        await self._entities.handle(self._id(name, ctx.tenant), command, ctx)

    async def release(self, name: str, owner: str, ctx: Context) -> None:
        await self._entities.handle(self._id(name, ctx.tenant), ReleaseName(self._kind, name, owner), ctx)

    def _id(self, name: str, tenant: str) -> str:
        return derived_id(tenant, self._kind, name)


class Named(Generic[State]):
    """The things of one kind by their names; `called` says how one is called, and nothing before its first event.

    The first thing of a name has the id that is made of it, a later one's is made of the request too.
    """

    def __init__(self, entities: Entities[State, Any, Any], names: Names, called: Callable[[State], str]) -> None:
        self._entities, self._names, self._called = entities, names, called

    async def id_of(self, name: str, tenant: str) -> str:
        """The id of what is called so; empty when nothing is. As this process last saw it: the decider looks again."""
        first = first_id(tenant, name)
        if self._called((await self._entities.recent(first)).state) == name:
            return first
        owner = await self._names.owner(name, tenant)
        return owner if owner and await self._name_of(owner) == name else ""

    async def ids_ever(self, name: str, tenant: str) -> Sequence[str]:
        """The ids of what is called so, or was."""
        first, owners = first_id(tenant, name), await self._names.owners(name, tenant)
        return list(dict.fromkeys([first, *owners])) if await self._name_of(first) else owners

    async def id_for(self, name: str, ctx: Context) -> str:
        """The id of the thing that has the name, or will have it: a new one takes it."""
        for _ in range(TRIES):
            holder = await self.holder(name, ctx)
            if holder and await self._name_of(holder) in ("", name):
                return holder
            first = first_id(ctx.tenant, name)
            mine = derived_id(ctx.tenant, name, ctx.request_id) if await self._name_of(first) else first
            try:
                await self._names.take(name, mine, ctx, unused_by=holder)
            except AlreadyExists:
                if holder:
                    raise
                continue
            return mine
        raise AlreadyExists(f"others take and free the name {name!r}; try again")

    async def rename(self, thing_id: str, command: Any, name: str, ctx: Context) -> Loaded[State]:
        """Take the new name, rename, let the old one go; see modelog_registry.name.decide."""
        loaded = await self._entities.current(thing_id)
        if not self._entities.decider.decide(loaded.state, command, ctx):
            return loaded
        old = self._called(loaded.state)
        holder = await self.holder(name, ctx)
        unused = holder and await self._name_of(holder) != name
        await self._names.take(name, thing_id, ctx, unused_by=holder if unused else "")
        renamed = await self._entities.handle(thing_id, command, ctx)
        await self._names.release(old, thing_id, ctx)
        return renamed

    async def holder(self, name: str, ctx: Context) -> str:
        """Whose the name is; empty when it is free. What was named before names were kept gets its name here."""
        owner = await self._names.owner(name, ctx.tenant)
        first = first_id(ctx.tenant, name)
        if owner or await self._name_of(first) != name:
            return owner
        await self._names.take(name, first, replace(ctx, request_id=derived_id("name of", first)))
        return first

    async def _name_of(self, thing_id: str) -> str:
        return self._called((await self._entities.current(thing_id)).state)


def first_id(tenant: str, name: str) -> str:
    """The id of the first thing that has a name."""
    return derived_id(tenant, name)
