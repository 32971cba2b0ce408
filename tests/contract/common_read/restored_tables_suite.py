"""Read tables that outlive their log: it was restored, or set back, to an earlier position and goes on differently."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_proto.common.v1.common_pb2 import ReadOptions
from named_things import OpenTables, assemble


class RestoredTablesSuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def open_tables(self) -> OpenTables: ...

    async def test_tables_of_another_history_of_the_log_are_built_again(
        self, tmp_path: Path, open_tables: OpenTables
    ) -> None:
        """The log was restored to an earlier position, and went on differently."""
        parts = await assemble(tmp_path / "before", open_tables("own"))
        for which in ("1", "2", "3"):
            await parts.rename(which, "before")
        await parts.projector.catch_up()
        restored = await assemble(tmp_path / "restored", parts.engine)
        await restored.store.restore([event async for event in parts.store.read_all(until=1)])
        await restored.rename("4", "after")
        await restored.projector.start()
        assert await restored.projector.catch_up() == 2
        assert await restored.names(ReadOptions()) == ["before", "after"]
        assert await restored.names(ReadOptions(as_of="1")) == ["before"]
        with pytest.raises(Unavailable, match="for another log"):
            await parts.rename("5", "nobody looks here") and await parts.projector.catch_up()
        await parts.store.close()
        await restored.close()

    async def test_a_log_that_was_set_back_is_said_until_it_is_renewed(
        self, tmp_path: Path, open_tables: OpenTables
    ) -> None:
        """The file was copied back, or the database restored by its own tools: it has its old history."""
        parts = await assemble(tmp_path, open_tables("own"))
        await parts.rename("1", "kept")
        await parts.rename("2", "gone")
        await parts.projector.catch_up()
        await parts.store.close()
        with closing(sqlite3.connect(parts.store.path)) as log, log:
            log.execute("DELETE FROM events WHERE position > 1")
        again = await assemble(tmp_path, parts.engine)
        await again.projector.start()
        assert "the log ends at position 1, and the read tables of test hold events up to 2" in again.projector.error
        with pytest.raises(Unavailable, match="the log was set back"):
            await again.names(ReadOptions())
        await again.store.renew()
        await again.store.close()
        renewed = await assemble(tmp_path, parts.engine)
        await renewed.rename("3", "new")
        await renewed.projector.start()
        assert await renewed.projector.catch_up() == 2
        assert await renewed.names(ReadOptions()) == ["kept", "new"]
        await renewed.close()
