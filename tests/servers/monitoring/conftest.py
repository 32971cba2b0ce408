"""Gives the tests of monitoring InfluxDB for its series; everything else is as in tests/integration/monitoring."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from modelog_common.variables import Secret
from real_servers import InfluxdbServer, started_again

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "monitoring"))

from monitoring_bench import Bench, bench, hook, world

__all__ = ["bench", "hook", "world"]


@pytest.fixture
def on_influxdb(bench: Bench, influxdb: InfluxdbServer) -> Iterator[Bench]:
    """Monitoring with its series in a bucket of this test's own."""
    address = f"{influxdb.url.replace('http', 'influxdb', 1)}/{influxdb.org}/{uuid4().hex}"
    told = {"series": address, "series_token": Secret(influxdb.token)}
    bench.settings = bench.settings.changed(**told)
    yield bench
    started_again(influxdb)
