"""A log restored into PostgreSQL; Kafka, Neo4j, Elasticsearch, InfluxDB and read tables had seen later positions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from modelog_common.stores.series import SeriesStore
from modelog_common.stores.series.influx import InfluxSeriesStore
from real_servers import InfluxdbServer, KafkaServer, Neo4jServer, PostgresServer, UrlServer

sys.path.extend(
    str(Path(__file__).parents[1] / "integration" / name) for name in ("platform_log", "lineage", "monitoring")
)

from lineage_fixtures import make_empty
from lineage_support import graph_settings
from restored_history_suite import NewLog, RestoredHistorySuite
from test_series_of_a_restored_log import *  # noqa: F403


def address_of(influxdb: InfluxdbServer) -> str:
    """A bucket of one test's own."""
    return f"{influxdb.url.replace('http', 'influxdb', 1)}/{influxdb.org}/{uuid4().hex}"


@pytest.fixture
async def series(influxdb: InfluxdbServer) -> AsyncIterator[SeriesStore]:
    store = InfluxSeriesStore(address_of(influxdb), influxdb.token)
    yield store
    await store.close()


class TestRestoredHistoryOnServers(RestoredHistorySuite):
    @pytest.fixture
    def survivors(  # type: ignore[override]
        self,
        elasticsearch: UrlServer,
        neo4j: Neo4jServer,
        kafka: KafkaServer,
        influxdb: InfluxdbServer,
        postgres: PostgresServer,
    ) -> dict[str, Any]:
        asyncio.run(make_empty(neo4j))
        return {
            "kafka_bootstrap": kafka.bootstrap,
            **graph_settings(neo4j),
            "tables": postgres.create_database(),
            "series": address_of(influxdb),
            "series_token": influxdb.token,
            "search": f"{elasticsearch.url}/t-{uuid4().hex}",
        }

    @pytest.fixture
    def new_log(self, postgres: PostgresServer) -> NewLog:
        return postgres.create_database
