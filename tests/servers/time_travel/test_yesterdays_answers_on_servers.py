"""PostgreSQL's tables, Neo4j, InfluxDB and Elasticsearch pass the suite of time travel."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from lineage_fixtures import make_empty
from yesterdays_suite import FreshParts, YesterdaysAnswersSuite


class TestYesterdaysAnswersOnServers(YesterdaysAnswersSuite):
    @pytest.fixture
    def fresh_parts(  # type: ignore[override]
        self, fresh_broker: Any, neo4j: Any, elasticsearch: Any, influxdb: Any, postgres: Any
    ) -> FreshParts:
        def fresh() -> dict[str, Any]:
            fresh_broker.restart()
            asyncio.run(make_empty(neo4j))
            bucket = f"{influxdb.url.replace('http', 'influxdb', 1)}/{influxdb.org}/{uuid4().hex}"
            return {
                "kafka_bootstrap": fresh_broker.bootstrap,
                "graph_uri": neo4j.uri,
                "graph_user": neo4j.user,
                "graph_password": neo4j.password,
                "tables": postgres.create_database(),
                "series": bucket,
                "curves": bucket,
                "series_token": influxdb.token,
                "search": f"{elasticsearch.url}/t-{uuid4().hex}",
            }

        return fresh
