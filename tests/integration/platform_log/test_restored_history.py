"""A restored log in a file, with a broker and a graph that had seen later positions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from restored_history_suite import NewLog, RestoredHistorySuite

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
