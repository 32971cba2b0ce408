"""The rules about users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from modelog_common.domain.sealed import Sealed

from modelog_gateway.user.commands import CreateUser, DescribeUser, EraseUser, IssueToken, UserCommand
from modelog_gateway.user.events import TokenIssued, UserCreated, UserDescribed, UserErased, UserEvent
from modelog_gateway.user.state import User, evolve

ROLES = ("viewer", "developer", "reviewer", "admin")


def decide(user: User, command: UserCommand, ctx: Context) -> Sequence[UserEvent]:
    match command:
        case CreateUser():
            return create(user, command, ctx)
        case DescribeUser(name, full_name, email):
            _must_be_there(user, name)
            return describe(user, name, full_name, email, ctx)
        case EraseUser(name, reason):
            return erase(user, name, reason, ctx)
        case IssueToken(name, token_id, lifetime):
            _must_be_there(user, name)
            return [TokenIssued(name, token_id, ctx.now + lifetime, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


def create(user: User, command: CreateUser, ctx: Context) -> Sequence[UserEvent]:
    """The same user again is not an error. The name of who was erased stands in the log for that person, for good."""
    name, roles = command.name, command.roles
    for n, role in enumerate(roles):
        if role not in ROLES:
            raise Invalid.field(f"roles[{n}]", f"{role!r} is not a role; there are {', '.join(ROLES)}")
    if user.erased_at is not None:
        raise AlreadyExists(f"the user {name!r} was erased; choose another name, this one is not given again")
    if not user.name:
        described = describe(user, name, command.full_name, command.email, ctx)
        return [UserCreated(name, sorted(set(roles)), ctx.actor, ctx.now), *described]
    if set(user.roles) != set(roles):
        raise AlreadyExists(f"there is a user {name!r} with the roles {', '.join(user.roles)}")
    if (user.full_name, user.email) != (command.full_name, command.email):
        raise AlreadyExists(f"there is a user {name!r} with another full name or e-mail address")
    return ()


def describe(
    user: User, name: str, full_name: Sealed | None, email: Sealed | None, ctx: Context
) -> Sequence[UserEvent]:
    if (user.full_name, user.email) == (full_name, email):
        return ()
    return [UserDescribed(name, full_name, email, ctx.actor, ctx.now)]


def erase(user: User, name: str, reason: str, ctx: Context) -> Sequence[UserEvent]:
    """Erasing again changes nothing."""
    if not user.name:
        raise NotFound(f"there is no user {name!r}")
    if user.erased_at is not None:
        return ()
    return [UserErased(name, reason, ctx.actor, ctx.now)]


def _must_be_there(user: User, name: str) -> None:
    if not user.name:
        raise NotFound(f"there is no user {name!r}")
    if user.erased_at is not None:
        raise NotAllowed(f"the user {name!r} was erased")


USERS: Decider[User, UserCommand, UserEvent] = Decider("gateway.user", User, decide, evolve)
