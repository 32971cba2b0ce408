"""InfluxDB is away: questions for series say so, monitoring goes on, and the series catch up when it returns."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_proto.common.v1 import common_pb2
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from real_servers import InfluxdbServer

AUC = pb.GetSeriesRequest(monitor="flights", metric="auc")
MONITOR = pb.GetMonitorRequest(name="flights")


async def error_of_series(bench: Any) -> str:
    status = await bench.admin.GetStatus(common_pb2.GetStatusRequest())
    return str(next(p.error for p in status.projections if p.name == "series"))


async def starts_in_series(bench: Any) -> set[int]:
    """When the windows begin that the series tell of."""
    try:
        return {point.at.seconds for point in (await bench.calls.GetSeries(AUC)).points}
    except Unavailable:
        return set()


async def caught_up(bench: Any) -> None:
    """Wait until the series tell of every window, and the status of no trouble."""

    async def is_so() -> bool:
        windows = {window.start.seconds for window in await bench.windows()}
        return await starts_in_series(bench) == windows and await error_of_series(bench) == ""

    await bench.until(is_so, "the series hold every window")


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_series_catch_up_when_influxdb_is_back(on_influxdb: Any, influxdb: InfluxdbServer, how: str) -> None:
    bench = on_influxdb
    async with bench.monitoring():
        await bench.create_monitor()
        bench.streams.hour(0)
        bench.streams.hour(1)
        await bench.until_windows(1)
        await caught_up(bench)
        getattr(influxdb, how)()
        with pytest.raises(Unavailable, match=f"the series store at {influxdb.url} does not answer"):
            await bench.calls.GetSeries(AUC)
        assert (await bench.calls.GetMonitor(MONITOR)).name == "flights"
        await bench.create_monitor(name="another")
        bench.streams.hour(2)
        await bench.until_windows(2)

        async def told() -> bool:
            return f"the series store at {influxdb.url} does not answer" in await error_of_series(bench)

        await bench.until(told, "the status tells that the series store is away")
        influxdb.start()
        await caught_up(bench)


async def test_monitoring_starts_while_influxdb_is_away(on_influxdb: Any, influxdb: InfluxdbServer) -> None:
    bench = on_influxdb
    influxdb.stop()
    async with bench.monitoring():
        await bench.create_monitor()
        bench.streams.hour(0)
        bench.streams.hour(1)
        await bench.until_windows(1)
        with pytest.raises(Unavailable, match=f"the series store at {influxdb.url} does not answer"):
            await bench.calls.GetSeries(AUC)
        influxdb.start()
        await caught_up(bench)
