"""A restored log in a file, with a broker and a graph that had seen later positions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from log_support import fill, open_store
from modelog.cli.main import app as command_line
from restored_history_suite import NewLog, RestoredHistorySuite
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "lineage"))

from lineage_support import GraphServer, graph_settings


class TestRestoredHistoryOnEmbeddedParts(RestoredHistorySuite):
    @pytest.fixture
    def survivors(self, fresh_broker: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        graph = GraphServer(tmp_path)
        graph.start()
        yield {"kafka_bootstrap": fresh_broker.bootstrap, **graph_settings(graph)}
        graph.kill()

    @pytest.fixture
    def new_log(self) -> NewLog:
        return lambda: ""


def test_a_log_that_was_set_back_is_renewed_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "events.db"

    async def history() -> str:
        store = await open_store(file)
        if not await store.head():
            await fill(store, 3)
        await store.close()
        return store.history

    before = asyncio.run(history())
    done = CliRunner().invoke(command_line, ["events", "renew", "--store", f"sqlite:///{file}"])
    assert done.exit_code == 0, done.output
    assert "the log that ends at position 3 has another history now" in " ".join(done.output.split())
    assert asyncio.run(history()) != before
    missing = CliRunner().invoke(command_line, ["events", "renew", "--store", f"sqlite:///{tmp_path / 'no.db'}"])
    assert missing.exit_code == 1
    assert "there is no event store" in missing.output
