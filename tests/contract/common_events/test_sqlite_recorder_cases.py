"""The recorder test cases of PyPI `eventsourcing` pass on the SQLite event store."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorder_shim import AggregateRecorderCases, ApplicationRecorderCases, NonInterleavingCases


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'events.db'}"


class TestSqliteAggregateRecorder(AggregateRecorderCases):
    __test__ = True


class TestSqliteApplicationRecorder(ApplicationRecorderCases):
    __test__ = True


class TestSqliteNonInterleaving(NonInterleavingCases):
    __test__ = True
