"""Commands of users: personal texts are sealed before a command is made of them; an erasure destroys the key first."""

from __future__ import annotations

from datetime import timedelta

from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.domain.sealed import Sealed
from modelog_common.events.entities import Entities, Loaded
from modelog_common.events.store import EventStore
from modelog_common.privacy.keys import Erasure
from modelog_common.privacy.subjects import Subjects

from modelog_gateway.handle.erasures import as_erased, finish
from modelog_gateway.user.commands import CreateUser, DescribeUser, EraseUser, IssueToken, UserCommand
from modelog_gateway.user.decide import USERS
from modelog_gateway.user.events import UserErased, UserEvent
from modelog_gateway.user.state import User

SUBJECT = "user/"
FULL_NAME, EMAIL = "gateway.user.full_name", "gateway.user.email"


class Users:
    """Users of all tenants."""

    def __init__(self, entities: Entities[User, UserCommand, UserEvent], subjects: Subjects) -> None:
        self._entities, self._subjects = entities, subjects

    async def create(
        self, name: str, roles: tuple[str, ...], ctx: Context, full_name: str = "", email: str = ""
    ) -> Loaded[User]:
        sealed = await self._sealed(name, full_name, email, ctx)
        return await self._handle(name, CreateUser(name, roles, *sealed), ctx)

    async def describe(self, name: str, full_name: str, email: str, ctx: Context) -> Loaded[User]:
        await self._dry(name, DescribeUser(name, None, None), ctx)
        return await self._handle(name, DescribeUser(name, *await self._sealed(name, full_name, email, ctx)), ctx)

    async def issue_token(self, name: str, token_id: str, lifetime: timedelta, ctx: Context) -> Loaded[User]:
        return await self._handle(name, IssueToken(name, token_id, lifetime), ctx)

    async def erase(self, name: str, reason: str, ctx: Context) -> Loaded[User]:
        """Destroy the user's key, then append the event.

        The key store remembers the erasure with the key's end, so whoever is killed in between finishes it at the next
        start (`finish_erasures`), or when the same is asked again.
        """
        await self._dry(name, EraseUser(name, reason), ctx)
        first = await self._subjects.destroy(Erasure(ctx.tenant, SUBJECT + name, ctx.actor, ctx.now, reason))
        return await self._record(first, ctx)

    async def finish_erasures(self, store: EventStore) -> None:
        """Append the events of keys that were destroyed; destroy again keys that a restored key store brought back."""
        await finish(self._subjects, store, USERS.category, SUBJECT, UserErased, lambda e: str(e.name), self._finish)

    async def _finish(self, erasure: Erasure) -> None:
        try:
            await self._record(erasure, Context(erasure.at, erasure.by, erasure.tenant, request_id=""))
        except NotFound:
            # The log was restored to before the user was created; the key store still gives that name no key.
            return

    async def _record(self, erasure: Erasure, ctx: Context) -> Loaded[User]:
        name = erasure.subject.removeprefix(SUBJECT)
        return await self._handle(name, EraseUser(name, erasure.reason), as_erased(erasure, ctx))

    async def _dry(self, name: str, command: UserCommand, ctx: Context) -> None:
        """Ask the rules first: what they refuse makes and destroys no key."""
        self._entities.decider.decide((await self._entities.load(_id_of(name, ctx))).state, command, ctx)

    async def _handle(self, name: str, command: UserCommand, ctx: Context) -> Loaded[User]:
        return await self._entities.handle(_id_of(name, ctx), command, ctx)

    async def _sealed(self, name: str, full_name: str, email: str, ctx: Context) -> tuple[Sealed | None, Sealed | None]:
        subject = SUBJECT + name
        return (
            await self._subjects.seal(ctx.tenant, subject, FULL_NAME, full_name) if full_name else None,
            await self._subjects.seal(ctx.tenant, subject, EMAIL, email) if email else None,
        )


def _id_of(name: str, ctx: Context) -> str:
    return derived_id(ctx.tenant, name)
