"""The recorder test cases of PyPI `eventsourcing` pass on the PostgreSQL event store."""

from __future__ import annotations

import pytest
from real_servers import PostgresServer
from recorder_shim import AggregateRecorderCases, ApplicationRecorderCases, NonInterleavingCases


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.create_database()


class TestPostgresAggregateRecorder(AggregateRecorderCases):
    __test__ = True


class TestPostgresApplicationRecorder(ApplicationRecorderCases):
    __test__ = True


class TestPostgresNonInterleaving(NonInterleavingCases):
    __test__ = True
