"""An erasure that is killed after any of its steps is finished, by the next start or by asking again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotFound, Unavailable
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import Appended, Expected, ExpectedVersion, NewEvent, StoredEvent
from modelog_common.privacy.keys import Erasure
from modelog_common.privacy.masters import FileMasterKeys, new_master_key
from modelog_common.privacy.sqlite import SqliteKeyStore
from modelog_common.privacy.subjects import ERASED, Subjects
from modelog_gateway.events import EVENTS
from modelog_gateway.handle.users import EMAIL, Users
from modelog_gateway.user.decide import USERS

ADMIN = Context(datetime(2026, 1, 1, tzinfo=UTC), "admin", "acme", "request-1")


class DyingStore(SqliteEventStore):
    """An event store whose process dies before or after the next append."""

    dies_before = dies_after = False

    async def append(
        self, stream: str, events: Sequence[NewEvent], *, expected: ExpectedVersion = Expected.ANY
    ) -> Appended:
        if self.dies_before:
            raise Unavailable("killed before the event")
        done = await super().append(stream, events, expected=expected)
        if self.dies_after:
            raise Unavailable("killed after the event")
        return done


class Process:
    """A gateway's part that knows users."""

    def __init__(self, folder: Path, log: DyingStore) -> None:
        self.log = log
        self.subjects = Subjects(SqliteKeyStore(folder / "keys.db"), FileMasterKeys(folder / "master.key"))
        self.users = Users(Entities(log, USERS, EVENTS), self.subjects)

    async def email(self, name: str = "bob") -> str:
        user = (await self.users.describe(name, "", "bob@example.org", ADMIN)).state
        assert user.email is not None
        return await self.subjects.open(EMAIL, user.email)

    async def erased(self) -> list[StoredEvent]:
        return [e async for e in self.log.read_all() if e.type == "gateway.UserErased"]

    async def close(self) -> None:
        await self.subjects.close()
        await self.log.close()


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "master.key").touch(0o600)
        (path / "master.key").write_text(new_master_key())
        self._open: list[Process] = []

    async def start(self, log: str = "events.db") -> Process:
        store = await DyingStore.open(self.path / log, SystemClock())
        assert isinstance(store, DyingStore)
        self._open.append(Process(self.path, store))
        return self._open[-1]

    async def close(self) -> None:
        for process in self._open:
            await process.close()


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    folder = Folder(tmp_path)
    first = await folder.start()
    await first.users.create("bob", ("viewer",), ADMIN, "Bob", "bob@example.org")
    yield folder
    await folder.close()


async def _seen(process: Process) -> tuple[list[str], int]:
    """What opening the user's sealed texts gives, and how many events tell of an erasure."""
    found = [e async for e in process.log.read_all() if e.type == "gateway.UserDescribed"]
    described = [EVENTS.decode(e.type, e.schema, e.payload) for e in found]
    return [await process.subjects.open(EMAIL, d.email) for d in described], len(await process.erased())


@pytest.mark.parametrize("how", ["before the event", "after the event"])
@pytest.mark.parametrize("asked_again", [True, False])
async def test_a_killed_erasure_is_finished(folder: Folder, how: str, asked_again: bool) -> None:
    dying = await folder.start()
    dying.log.dies_before, dying.log.dies_after = how == "before the event", how == "after the event"
    with pytest.raises(Unavailable, match=f"killed {how}"):
        await dying.users.erase("bob", "ticket 4711", ADMIN)
    # Nobody reads the text any more, whatever the log says.
    assert (await _seen(dying))[0] == [ERASED]
    next_one = await folder.start()
    if asked_again:
        await next_one.users.erase("bob", "asked again", ADMIN)
    else:
        await next_one.users.finish_erasures(next_one.log)
    assert await _seen(next_one) == ([ERASED], 1)
    (event,) = await next_one.erased()
    told = EVENTS.decode(event.type, event.schema, event.payload)
    assert (told.name, told.by, told.reason, told.at) == ("bob", "admin", "ticket 4711", ADMIN.now)
    assert event.tenant == "acme"
    await next_one.users.finish_erasures(next_one.log)
    await next_one.users.erase("bob", "asked once more", ADMIN)
    assert await _seen(next_one) == ([ERASED], 1)


async def test_a_refused_erasure_destroys_nothing(folder: Folder) -> None:
    process = await folder.start()
    with pytest.raises(NotFound):
        await process.users.erase("nobody", "ticket 4711", ADMIN)
    assert list(await process.subjects.erasures()) == []
    await process.users.create("nobody", ("viewer",), ADMIN, "", "n@example.org")


async def test_a_key_that_a_restored_key_store_brought_back_is_destroyed_again(folder: Folder) -> None:
    kept = (folder.path / "keys.db").read_bytes(), _wal(folder.path)
    first = await folder.start()
    await first.users.erase("bob", "ticket 4711", ADMIN)
    await folder.close()
    for file in folder.path.glob("keys.db*"):
        file.unlink()
    (folder.path / "keys.db").write_bytes(kept[0])
    if kept[1]:
        (folder.path / "keys.db-wal").write_bytes(kept[1])
    restored = await folder.start()
    assert await _seen(restored) == (["bob@example.org"], 1)
    await restored.users.finish_erasures(restored.log)
    assert await _seen(restored) == ([ERASED], 1)
    assert list(await restored.subjects.erasures()) == [
        Erasure("acme", "user/bob", "admin", ADMIN.now, "ticket 4711"),
    ]


async def test_a_log_restored_to_before_the_erasure_gets_its_event_again(folder: Folder) -> None:
    first = await folder.start()
    before = [e async for e in first.log.read_all()]
    await first.users.erase("bob", "ticket 4711", ADMIN)
    restored = await folder.start("restored.db")
    await restored.log.append(before[0].stream, [_again(e) for e in before])
    await restored.users.finish_erasures(restored.log)
    assert await _seen(restored) == ([ERASED], 1)
    empty = await folder.start("empty.db")
    await empty.users.finish_erasures(empty.log)
    assert await _seen(empty) == ([], 0)


def _wal(folder: Path) -> bytes:
    wal = folder / "keys.db-wal"
    return wal.read_bytes() if wal.exists() else b""


def _again(e: StoredEvent) -> NewEvent:
    return NewEvent(e.id, e.type, e.schema, e.payload, e.tenant, e.actor)
