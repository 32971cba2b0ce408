"""The suite of killed erasures with log and keys in PostgreSQL."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from real_servers import PostgresServer

sys.path.append(str(Path(__file__).parents[2] / "chaos" / "gateway"))

from erasure_kill_suite import ErasureKillSuite


class TestErasureKill9OnPostgres(ErasureKillSuite):
    @pytest.fixture
    def log(self, postgres: PostgresServer) -> str:
        return postgres.create_database()

    @pytest.fixture
    def keys(self, log: str) -> str:
        return log
