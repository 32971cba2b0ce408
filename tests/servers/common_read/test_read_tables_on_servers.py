"""The suites of the read tables on PostgreSQL and MariaDB."""

from __future__ import annotations

import pytest
from modelog_common.read.database import open_database
from named_things import OpenTables
from read_tables_suite import ReadTablesSuite
from real_servers import MariadbServer, PostgresServer
from registry_tables_suite import RegistryTablesSuite
from restored_tables_suite import RestoredTablesSuite
from sql_progress_suite import SqlProgressSuite
from sqlalchemy.ext.asyncio import AsyncEngine
from temporal_writes_suite import TemporalWritesSuite


class OnPostgres:
    @pytest.fixture
    def open_tables(self, postgres: PostgresServer) -> OpenTables:
        address = postgres.create_database()
        return lambda name: open_database(address, name)


class OnMariaDb:
    @pytest.fixture
    def open_tables(self, mariadb: MariadbServer) -> OpenTables:
        address = mariadb.create_database()
        return lambda name: open_database(address, name)


class TestReadTablesOnPostgres(OnPostgres, ReadTablesSuite):
    pass


class TestRestoredTablesOnPostgres(OnPostgres, RestoredTablesSuite):
    pass


class TestTemporalWritesOnPostgres(OnPostgres, TemporalWritesSuite):
    pass


class TestRegistryTablesOnPostgres(OnPostgres, RegistryTablesSuite):
    pass


class TestReadTablesOnMariaDb(OnMariaDb, ReadTablesSuite):
    pass


class TestRestoredTablesOnMariaDb(OnMariaDb, RestoredTablesSuite):
    pass


class TestTemporalWritesOnMariaDb(OnMariaDb, TemporalWritesSuite):
    pass


class TestRegistryTablesOnMariaDb(OnMariaDb, RegistryTablesSuite):
    pass


class TestSqlProgressOnPostgres(OnPostgres, SqlProgressSuite):
    @pytest.fixture
    def engine(self, open_tables: OpenTables) -> AsyncEngine:
        return open_tables("consumer")


class TestSqlProgressOnMariaDb(OnMariaDb, SqlProgressSuite):
    @pytest.fixture
    def engine(self, open_tables: OpenTables) -> AsyncEngine:
        return open_tables("consumer")
