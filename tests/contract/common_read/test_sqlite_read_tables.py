"""The suites of the read tables on SQLite, the embedded default."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.read.database import open_database
from named_things import OpenTables
from read_tables_suite import ReadTablesSuite
from registry_tables_suite import RegistryTablesSuite
from restored_tables_suite import RestoredTablesSuite
from temporal_writes_suite import TemporalWritesSuite


class OnSqlite:
    @pytest.fixture
    def open_tables(self, tmp_path: Path) -> OpenTables:
        return lambda name: open_database(f"sqlite+aiosqlite:///{tmp_path / 'tables' / name}.db")


class TestReadTablesOnSqlite(OnSqlite, ReadTablesSuite):
    pass


class TestRestoredTablesOnSqlite(OnSqlite, RestoredTablesSuite):
    pass


class TestTemporalWritesOnSqlite(OnSqlite, TemporalWritesSuite):
    pass


class TestRegistryTablesOnSqlite(OnSqlite, RegistryTablesSuite):
    pass
