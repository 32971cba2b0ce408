"""Users who will be erased, and the part of a gateway that erases them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelog_common.adapters import open_event_store, open_subjects
from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.events.entities import Entities
from modelog_common.events.store import EventStore
from modelog_common.privacy.masters import new_master_key
from modelog_common.privacy.subjects import Subjects
from modelog_common.security.keys import write_secret
from modelog_gateway.events import EVENTS
from modelog_gateway.handle.users import EMAIL, Users
from modelog_gateway.user.decide import USERS

USERS_MADE = 60
ADMIN = Context(datetime(2026, 1, 1, tzinfo=UTC), "admin", "acme", "request-1")


@dataclass(frozen=True)
class Seen:
    """What opening a user's sealed address gives, and how many events tell of an erasure."""

    email: str
    events: int


class Erasers:
    """A gateway's part that knows users."""

    def __init__(self, log: EventStore, subjects: Subjects) -> None:
        self.log, self.subjects = log, subjects
        self.users = Users(Entities(log, USERS, EVENTS), subjects)

    @classmethod
    async def open(cls, folder: Path, log: str, keys: str) -> Erasers:
        settings = Settings(data_dir=folder, event_store=log, key_store=keys)
        return cls(await open_event_store(settings, SystemClock()), open_subjects(settings))

    async def seen(self) -> dict[str, Seen]:
        """By user."""
        sealed, erased = {}, list[str]()
        async for stored in self.log.read_all():
            event = EVENTS.decode(stored.type, stored.schema, stored.payload)
            if stored.type == "gateway.UserDescribed":
                sealed[event.name] = event.email
            elif stored.type == "gateway.UserErased":
                erased.append(event.name)
        emails = await self.subjects.open_all([(EMAIL, email) for email in sealed.values()])
        return {name: Seen(email, erased.count(name)) for name, email in zip(sealed, emails, strict=True)}

    async def close(self) -> None:
        await self.subjects.close()
        await self.log.close()


async def make_users(folder: Path, log: str, keys: str) -> Sequence[str]:
    """As many users as there may be steps."""
    write_secret(folder / "keys" / "master.key", new_master_key().encode())
    erasers = await Erasers.open(folder, log, keys)
    names = [f"user-{number}" for number in range(USERS_MADE)]
    for name in names:
        await erasers.users.create(name, ("viewer",), ADMIN, "", f"{name}@example.org")
    await erasers.close()
    return names
