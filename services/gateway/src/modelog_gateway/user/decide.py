"""The rules about users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotFound

from modelog_gateway.user.commands import CreateUser, IssueToken, UserCommand
from modelog_gateway.user.events import TokenIssued, UserCreated, UserEvent
from modelog_gateway.user.state import User, evolve

ROLES = ("viewer", "developer", "reviewer", "admin")


def decide(user: User, command: UserCommand, ctx: Context) -> Sequence[UserEvent]:
    match command:
        case CreateUser(name, roles):
            return create(user, name, roles, ctx)
        case IssueToken(name, token_id, lifetime):
            if not user.name:
                raise NotFound(f"there is no user {name!r}")
            return [TokenIssued(name, token_id, ctx.now + lifetime, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


def create(user: User, name: str, roles: tuple[str, ...], ctx: Context) -> Sequence[UserEvent]:
    for n, role in enumerate(roles):
        if role not in ROLES:
            raise Invalid.field(f"roles[{n}]", f"{role!r} is not a role; there are {', '.join(ROLES)}")
    if not user.name:
        return [UserCreated(name, sorted(set(roles)), ctx.actor, ctx.now)]
    if set(user.roles) == set(roles):
        return ()
    raise AlreadyExists(f"there is a user {name!r} with the roles {', '.join(user.roles)}")


USERS: Decider[User, UserCommand, UserEvent] = Decider("gateway.user", User, decide, evolve)
