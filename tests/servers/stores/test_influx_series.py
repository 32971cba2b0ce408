"""InfluxDB passes the suite of series, is found again after a restart, and says what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.stores.series import Point, SeriesStore
from modelog_common.stores.series.influx import InfluxSeriesStore
from series_suite import FEW_LINES, SeriesStoreSuite

POINT = Point("s", "l", datetime(2026, 1, 1, tzinfo=UTC), 1.5)


def address(influxdb: Any, bucket: str | None = None) -> str:
    return f"{influxdb.url.replace('http', 'influxdb', 1)}/{influxdb.org}/{bucket or uuid4().hex}"


class TestInfluxSeriesStore(SeriesStoreSuite):
    @pytest.fixture
    async def series(self, influxdb: Any) -> AsyncIterator[SeriesStore]:  # type: ignore[override]
        series = InfluxSeriesStore(address(influxdb), influxdb.token, most_lines=FEW_LINES)
        yield series
        await series.close()


async def test_influxdb_is_found_again_with_its_points(influxdb: Any) -> None:
    series = InfluxSeriesStore(address(influxdb), influxdb.token)
    await series.write([POINT])
    for take_away in (influxdb.stop, influxdb.kill):
        take_away()
        with pytest.raises(Unavailable, match=f"the series store at {influxdb.url} does not answer"):
            await series.write([POINT])
        with pytest.raises(Unavailable, match="does not answer"):
            await series.query("s")
        influxdb.start()
        assert await series.query("s") == [POINT]
    await series.close()


async def test_a_store_that_does_not_exist_yet_is_empty(influxdb: Any) -> None:
    series = InfluxSeriesStore(address(influxdb), influxdb.token)
    assert await series.query("s") == []
    await series.drop()
    await series.close()


async def test_lines_of_an_earlier_process_count_in_influxdb(influxdb: Any) -> None:
    bucket = uuid4().hex
    first = InfluxSeriesStore(address(influxdb, bucket), influxdb.token)
    await first.write([POINT])
    await first.close()
    second = InfluxSeriesStore(address(influxdb, bucket), influxdb.token, most_lines=1)
    with pytest.raises(Invalid, match="at most 1 are allowed"):
        await second.write([Point("s", "other", POINT.time, 1.0)])
    await second.write([Point("s", "l", POINT.time, 2.0)])
    await second.close()


@pytest.mark.parametrize(("org", "token"), [("modelog", "wrong"), ("nowhere", None)])
async def test_a_wrong_token_or_organisation_is_said(influxdb: Any, org: str, token: str | None) -> None:
    url = influxdb.url.replace("http", "influxdb", 1)
    series = InfluxSeriesStore(f"{url}/{org}/bucket", token or influxdb.token)
    with pytest.raises(Unavailable, match=rf"the series store at {influxdb.url} refuses: .*(unauthorized|not found)"):
        await series.write([POINT])
    await series.close()
