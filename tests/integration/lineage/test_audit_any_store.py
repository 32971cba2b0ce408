"""The audit of a store that is no single file: it is read through the store's port, and says the same."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from lineage_support import Log, tell_story
from modelog_common.domain.clock import SystemClock
from modelog_lineage.audit.log import AuditLog
from modelog_lineage.audit.treefile import TreeFile


@pytest.fixture
async def tree(tmp_path: Path) -> AsyncIterator[TreeFile]:
    tree = TreeFile(tmp_path / "audit.db")
    yield tree
    await tree.close()


@pytest.fixture
def audit(log: Log, tree: TreeFile, tmp_path: Path) -> AuditLog:
    return AuditLog(log.store, tree, tmp_path / "audit-key", SystemClock())


async def test_what_the_store_gives_is_what_was_signed(log: Log, audit: AuditLog) -> None:
    await tell_story(log)
    report, troubles = await audit.verify(None)
    assert (report.ok, troubles) == (True, [])
    in_file, _ = await audit.verify(log.store.path)
    assert report.events_read == in_file.events_read
    assert report.computed_root == in_file.computed_root == report.signed_root


async def test_an_altered_event_is_named(log: Log, audit: AuditLog) -> None:
    at = await tell_story(log)
    await audit.checkpoint()
    with closing(sqlite3.connect(log.store.path)) as db, db:
        db.execute("UPDATE events SET actor = 'mallory' WHERE position = ?", (at["approved"],))
    report, _ = await audit.verify(None)
    assert report.first_altered == at["approved"]
    assert any(f"position {at['approved']} is the first that differs" in failure for failure in report.failures)


async def test_a_missing_event_is_named(log: Log, audit: AuditLog) -> None:
    at = await tell_story(log)
    await audit.checkpoint()
    with closing(sqlite3.connect(log.store.path)) as db, db:
        db.execute("DELETE FROM events WHERE position = ?", (at["approved"],))
    report, _ = await audit.verify(None)
    assert report.first_gap == at["approved"]
    assert not report.ok
