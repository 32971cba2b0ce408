"""The embedded parts pass the suite of time travel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lineage_support import GraphServer
from yesterdays_suite import FreshParts, YesterdaysAnswersSuite


class TestYesterdaysAnswersOnEmbeddedParts(YesterdaysAnswersSuite):
    @pytest.fixture
    def fresh_parts(  # type: ignore[override]
        self, fresh_broker: Any, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[FreshParts]:
        graph = GraphServer(tmp_path_factory.mktemp("graph"))

        def fresh() -> dict[str, Any]:
            fresh_broker.restart()
            graph.kill()
            graph.start(empty=True)
            return {
                "kafka_bootstrap": fresh_broker.bootstrap,
                "graph_uri": graph.uri,
                "graph_user": graph.user,
                "graph_password": graph.password,
            }

        yield fresh
        graph.kill()
