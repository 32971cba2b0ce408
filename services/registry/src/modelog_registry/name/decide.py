"""The rule of names: one owner at a time.

A rename takes the new name, renames, and lets the old one go: three appends. One that was interrupted leaves a name
with an owner that is called otherwise. Such a name is free again after a minute, when no rename can be under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists

from modelog_registry.name.commands import NameCommand, ReleaseName, TakeName
from modelog_registry.name.events import NameEvent, NameReleased, NameTaken

UNUSED = timedelta(minutes=1)


@dataclass(frozen=True)
class Name:
    """A name; before its first event nobody has it."""

    taken: NameTaken | None = None
    # The ids of all that have it, or had it, in the order in which they got it.
    owners: tuple[str, ...] = ()


def evolve(name: Name, event: NameEvent) -> Name:
    """Fold one event."""
    match event:
        case NameTaken():
            return Name(event, tuple(dict.fromkeys((*name.owners, event.owner))))
        case NameReleased():
            return Name(None, name.owners)
        case _:
            assert_never(event)


def decide(name: Name, command: NameCommand, ctx: Context) -> Sequence[NameEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case TakeName():
            return take(name, command, ctx)
        case ReleaseName(kind, text, owner):
            mine = name.taken is not None and name.taken.owner == owner
            return [NameReleased(kind, text, owner, ctx.now)] if mine else ()
        case _:
            assert_never(command)


def take(name: Name, command: TakeName, ctx: Context) -> Sequence[NameEvent]:
    """Taking it twice is not an error."""
    taken = name.taken
    got = NameTaken(command.kind, command.name, command.owner, ctx.now)
    if taken is None:
        return [got]
    if taken.owner == command.owner:
        return ()
    if taken.owner == command.unused_by and ctx.now - taken.at > UNUSED:
        return [NameReleased(command.kind, command.name, taken.owner, ctx.now), got]
    raise AlreadyExists(f"there is another {command.kind} called {command.name!r}; take another name")


NAME: Decider[Name, NameCommand, NameEvent] = Decider("registry.name", Name, decide, evolve)
