"""The SQLite adapter passes the event store's suite, and keeps its promises between processes and on bad files."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from event_store_race import EventStoreRace, PlainSequenceRace
from event_store_suite import EventStoreSuite, Reopen, collect, new
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Unavailable
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import Appended, EventStore


class TestSqliteEventStore(EventStoreSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path, clock: ManualClock) -> AsyncIterator[EventStore]:
        store = await SqliteEventStore.open(tmp_path / "events.db", clock)
        yield store
        await store.close()

    @pytest.fixture
    async def reopen(self, store: SqliteEventStore, clock: ManualClock) -> AsyncIterator[Reopen]:
        opened: list[SqliteEventStore] = []

        async def again() -> EventStore:
            opened.append(await SqliteEventStore.open(store.path, clock))
            return opened[-1]

        yield again
        for other in opened:
            await other.close()


class TestRacingForOneFile(EventStoreRace, PlainSequenceRace):
    @pytest.fixture
    async def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'events.db'}"


WRITER = """
import asyncio, sys
from pathlib import Path
from modelog_common.domain.ids import uuid7
from modelog_common.events.store import NewEvent
from modelog_common.events.sqlite import SqliteEventStore

async def main(path, writer, count):
    store = await SqliteEventStore.open(Path(path))
    for n in range(count):
        events = [NewEvent(f"{writer}-{n}-{k}", "t.E", 1, b"{}", "t", writer) for k in range(1 + n % 3)]
        await store.append(f"w.s-{writer}", events)
        print(f"{writer}-{n}", flush=True)
    await store.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def start_writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), name, str(count)], stdout=subprocess.PIPE, text=True
    )


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await (await SqliteEventStore.open(path)).close()
    writer = start_writer(path, "w", 100_000)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(200)]
    writer.kill()
    acknowledged += [line.strip() for line in writer.stdout.read().splitlines()]
    writer.wait()
    store = await SqliteEventStore.open(path)
    stored = await collect(store.read_all())
    await store.close()
    appends = Counter(e.id.rsplit("-", 1)[0] for e in stored)
    assert [e.position for e in stored] == list(range(1, len(stored) + 1))
    for name in acknowledged:
        assert appends[name] == 1 + int(name.split("-")[1]) % 3


DIES_BEFORE_THE_ANSWER = """
import asyncio, os, signal, sys
from pathlib import Path
from modelog_common.events.store import NewEvent
from modelog_common.events.sqlite import SqliteEventStore

async def main(path):
    store = await SqliteEventStore.open(Path(path))
    commit = store._writer.commit
    store._writer.commit = lambda batch: (commit(batch), os.kill(os.getpid(), signal.SIGKILL))
    await store.append("a.b-1", [NewEvent(f"id-{n}", "t.E", 1, b"{}", "t", "x") for n in range(3)], expected=0)

asyncio.run(main(sys.argv[1]))
"""


async def test_an_append_of_a_process_that_died_before_the_answer_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES_BEFORE_THE_ANSWER, path)
    assert await process.wait() == -signal.SIGKILL
    store = await SqliteEventStore.open(path)
    events = [new(event_id=f"id-{n}") for n in range(3)]
    assert await store.append("a.b-1", events, expected=0) == Appended(3, 3, repeated=True)
    assert await store.head() == 3
    await store.close()


async def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await (await SqliteEventStore.open(path)).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
    db.close()
    before = path.read_bytes()
    with pytest.raises(Unavailable, match=r"newer release .format 2."):
        await SqliteEventStore.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 100])
async def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(content)
    with pytest.raises(Unavailable, match=r"events\.db cannot be used"):
        await SqliteEventStore.open(path)
    assert path.read_bytes() == content


async def test_a_full_disk_is_said_and_nothing_is_half_done(tmp_path: Path) -> None:
    store = await SqliteEventStore.open(tmp_path / "events.db")
    await store.append("a.b-1", [new()])
    pages = store._writer.db.execute("PRAGMA page_count").fetchone()[0]
    store._writer.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full"):
        await store.append("a.b-1", [new(payload=b'"' + b"x" * 1_000_000 + b'"')])
    assert await store.head() == 1
    store._writer.db.execute("PRAGMA max_page_count = 1073741823")
    assert (await store.append("a.b-1", [new()])).position == 2
    await store.close()
