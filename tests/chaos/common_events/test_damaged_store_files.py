"""A power failure that tore the last write, and pages of rubbish: what was acknowledged is there, or it is said."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TypeVar

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent, StoredEvent

T = TypeVar("T")
EVENTS = 300
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24


def new(n: int) -> NewEvent:
    return NewEvent(str(uuid7()), "test.Happened", 1, b'{"n":%d}' % n, "acme", "alice")


async def written(path: Path, count: int = EVENTS) -> list[str]:
    """A store of many events, left as a killed process leaves it, beside `path`; returns the acknowledged ids."""
    store = await SqliteEventStore.open(path)
    ids = []
    for n in range(count):
        event = new(n)
        await store.append(f"a.b-{n % 7}", [event])
        ids.append(event.id)
    for file in path.parent.glob(path.name + "*"):
        shutil.copy(file, path.parent / f"killed-{file.name}")
    await store.close()
    return ids


async def test_a_torn_last_write_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Whatever part of a next frame a power failure left at the end of the log of writes, it is ignored."""
    ids = await written(tmp_path / "events.db")
    wal = tmp_path / "killed-events.db-wal"
    whole = wal.read_bytes()
    assert len(whole) > WAL_HEADER_BYTES
    frame = whole[WAL_HEADER_BYTES : WAL_HEADER_BYTES + FRAME_HEADER_BYTES + 4096]
    dice = random.Random(7)
    tails = [os.urandom(17), os.urandom(len(frame)), frame, *(frame[: dice.randrange(1, len(frame))] for _ in range(5))]
    for n, tail in enumerate(tails):
        folder = tmp_path / f"torn-{n}"
        folder.mkdir()
        shutil.copy(tmp_path / "killed-events.db", folder / "events.db")
        (folder / "events.db-wal").write_bytes(whole + tail)
        store = await SqliteEventStore.open(folder / "events.db")
        found = [e async for e in store.read_all()]
        assert [e.id for e in found] == ids
        assert [e.position for e in found] == list(range(1, EVENTS + 1))
        assert (await store.append("a.b-1", [new(0)])).position == EVENTS + 1
        await store.close()


async def test_a_page_of_rubbish_is_said_and_nothing_is_silently_missing(tmp_path: Path) -> None:
    """Each page of the file in turn, the last one too: every read is whole or refused, and no append is half done."""
    path = tmp_path / "events.db"
    ids = await written(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    whole = path.read_bytes()
    pages = len(whole) // page_bytes
    refused = 0
    for page in range(1, pages):
        damaged = tmp_path / f"damaged-{page}.db"
        rubbish = random.Random(page).randbytes(page_bytes)
        damaged.write_bytes(whole[: page * page_bytes] + rubbish + whole[(page + 1) * page_bytes :])
        refused += await refusals(damaged, ids)
    assert refused >= pages - 1, "no page of a full file is without use"


async def refusals(path: Path, ids: list[str]) -> int:
    """How many questions are refused; what is answered is checked."""
    store = await answered(path, SqliteEventStore.open(path))
    if store is None:
        return 1
    try:
        everything = await answered(path, ids_of(store.read_all()))
        stream = await answered(path, ids_of(store.read_stream("a.b-3")))
        appended = await answered(path, store.append("a.b-1", [new(0), new(1)]))
        found = await answered(path, find_all(store, ids))
    finally:
        await store.close()
    assert everything in (None, ids)
    assert stream in (None, [event_id for n, event_id in enumerate(ids) if n % 7 == 3])
    assert appended is None or appended.position == len(ids) + 2
    assert found in (None, ids)
    return [everything, stream, appended, found].count(None)


async def answered(path: Path, question: Awaitable[T]) -> T | None:
    """The answer, or None when it was refused and the refusal names the file."""
    try:
        return await question
    except Unavailable as said:
        if str(path) not in str(said):
            raise
        return None


async def ids_of(events: AsyncIterator[StoredEvent]) -> list[str]:
    return [event.id async for event in events]


async def find_all(store: SqliteEventStore, ids: list[str]) -> list[str]:
    found = [await store.find(event_id) for event_id in ids]
    return [event.id for event in found if event is not None]


@pytest.mark.parametrize("keep", [0, 100])
async def test_a_file_cut_short_is_said(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "events.db"
    await written(path)
    path.write_bytes(path.read_bytes()[: 4096 * 3 + keep])
    with pytest.raises(Unavailable, match=r"events\.db cannot be used"):
        store = await SqliteEventStore.open(path)
        try:
            _ = [e async for e in store.read_all()]
        finally:
            await store.close()


async def test_an_event_that_was_taken_out_is_not_folded_over(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await written(path)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM events WHERE stream = 'a.b-3' AND version = 20")
    db.close()
    store = await SqliteEventStore.open(path)
    before = [page async for page in store.read_payloads("a.b-3", until=100)]
    assert [page.version for page in before] == [14]
    with pytest.raises(Unavailable, match="a.b-3 has 42 events from version 1 to 43"):
        _ = [page async for page in store.read_payloads("a.b-3")]
    await store.close()
