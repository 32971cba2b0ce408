"""What every adapter of Snapshots promises: inherit the class and give it the fixture `snapshots`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import msgspec
import pytest
from modelog_common.events.snapshots import Snapshot, Snapshots

FIRST = Snapshot("test.account-1", 500, 700, "event-700", "code-1", b"\x00state\xff").sealed()


class SnapshotsSuite(ABC):
    """The suite; each test has a cache of its own."""

    @pytest.fixture
    @abstractmethod
    def snapshots(self) -> AsyncIterator[Snapshots]: ...

    async def test_what_was_kept_is_found_whole(self, snapshots: Snapshots) -> None:
        await snapshots.keep(FIRST)
        assert await snapshots.find(FIRST.stream) == FIRST
        assert FIRST.whole

    async def test_a_stream_without_a_snapshot_has_none(self, snapshots: Snapshots) -> None:
        await snapshots.keep(FIRST)
        assert await snapshots.find("test.account-2") is None

    async def test_a_newer_one_takes_the_place_of_an_older_one(self, snapshots: Snapshots) -> None:
        newer = msgspec.structs.replace(FIRST, version=1000, position=1300).sealed()
        await snapshots.keep(newer)
        await snapshots.keep(FIRST)
        assert await snapshots.find(FIRST.stream) == newer

    async def test_one_of_other_code_takes_the_place_of_any(self, snapshots: Snapshots) -> None:
        other = msgspec.structs.replace(FIRST, version=400, code="code-2").sealed()
        await snapshots.keep(FIRST)
        await snapshots.keep(other)
        assert await snapshots.find(FIRST.stream) == other

    async def test_all_can_be_forgotten(self, snapshots: Snapshots) -> None:
        await snapshots.keep(FIRST)
        await snapshots.clear()
        assert await snapshots.find(FIRST.stream) is None
        await snapshots.keep(FIRST)
        assert await snapshots.find(FIRST.stream) == FIRST
