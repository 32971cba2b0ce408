"""Windows of traffic and targets, as other services tell them over Kafka, become service levels and alerts."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.rpc.client import connect
from modelog_monitoring.level.events import LevelBurning, LevelMeasured, LevelMet
from modelog_monitoring.monitor.events import AlertRaised
from modelog_proto.common.v1 import common_pb2
from modelog_proto.monitoring.v1 import level_pb2 as pb
from modelog_proto.monitoring.v1 import monitoring_pb2
from modelog_proto.monitoring.v1.level_pb2_grpc import ServiceLevelsStub
from monitoring_world import CHALLENGER, CHAMPION

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# Buckets of 2 ms and 32 ms.
QUICK, SLOW = 8, 40
TARGETS = {"latency_p50_ms": None, "latency_p99_ms": 10.0, "availability_percent": 99.0}


def traffic(bench: Any, at: datetime, *versions: tuple[str, int, int, int]) -> None:
    """A minute's window: (version, quick, slow, errors)."""
    told = [
        {
            "version": version,
            "requests": quick + slow + errors,
            "errors": errors,
            "latencies": {"first": QUICK, "counts": [quick, *([0] * (SLOW - QUICK - 1)), slow]},
        }
        for version, quick, slow, errors in versions
    ]
    bench.streams.event(
        "serving",
        "TrafficMeasured",
        deployment_id="d-1",
        name="flights",
        model="flight-delay",
        start=at.isoformat(),
        end=(at + MINUTE).isoformat(),
        versions=told,
        at=(at + MINUTE).isoformat(),
    )


async def promise(bench: Any, number: int = 1, **targets: Any) -> None:
    """Targets, which monitoring has heard of when this returns."""
    bench.streams.event(
        "registry", "SlaSet", model_id="m-1", model="flight-delay", number=number, targets={**TARGETS, **targets},
        reason="", by="bob", at=START.isoformat(),
    )  # fmt: skip

    async def heard() -> bool:
        with sqlite3.connect(bench.folder / "monitoring" / "levels.db") as db:
            (count,) = db.execute("SELECT count(*) FROM targets").fetchone()
        db.close()
        return int(count) == number

    await bench.until(heard, "monitoring has heard of the targets")


def calls(bench: Any) -> Any:
    return ServiceLevelsStub(bench.channel)


async def level(bench: Any, version: str = CHAMPION, **fields: Any) -> Any:
    return await calls(bench).GetServiceLevel(
        pb.GetServiceLevelRequest(deployment="flights", version=version, **fields)
    )


async def until_level(bench: Any, end: datetime, version: str = CHAMPION) -> Any:
    """Wait until the window that ends then was taken in; returns the level."""

    async def reached() -> bool:
        try:
            return (await level(bench, version)).until.ToDatetime(UTC) >= end
        except NotFound:
            return False

    await bench.until(reached, f"a window until {end} is held against the targets")
    return await level(bench, version)


def attained(found: Any, objective: int) -> Any:
    return next(a for a in found.attainments if a.objective == objective)


async def test_traffic_is_held_against_targets_and_alerts_are_raised_and_ended(bench: Any) -> None:
    # Both services count their events from 1 here; the targets are to stand before the windows.
    bench.streams.event("serving", "DeploymentStopped")
    async with bench.monitoring():
        await promise(bench)
        await bench.create_monitor()
        traffic(bench, START, (CHAMPION, 98, 0, 2), (CHALLENGER, 50, 0, 0))
        good = await until_level(bench, START + MINUTE)
        assert (good.model, good.targets, good.requests, good.errors) == ("flight-delay", 1, 100, 2)
        assert 1.8 < good.latency_p50_ms <= 2
        available = attained(good, pb.LEVEL_OBJECTIVE_AVAILABILITY)
        assert (available.target, available.judged, available.missed) == (99.0, 100, 2)
        assert available.attained_percent == pytest.approx(98)
        assert available.budget_left_percent == pytest.approx(-100)
        assert available.burn_rate == pytest.approx(2)
        assert attained(good, pb.LEVEL_OBJECTIVE_LATENCY_P99).budget_left_percent == pytest.approx(100)
        assert not good.alerts, "two misses are too few for an alert"

        traffic(bench, START + MINUTE, (CHAMPION, 100, 60, 0))
        slow = await until_level(bench, START + 2 * MINUTE)
        (alert,) = slow.alerts
        assert (alert.objective, alert.severity) == (pb.LEVEL_OBJECTIVE_LATENCY_P99, pb.LEVEL_SEVERITY_PAGE)
        assert "60 of 258 requests in 1 hour" in alert.text

    # Another process goes on where that one was.
    async with bench.monitoring():
        traffic(bench, START + 8 * HOUR, (CHALLENGER, 100, 0, 0))
        await until_level(bench, START + 8 * HOUR + MINUTE, CHALLENGER)

        async def delivered() -> bool:
            return len(bench.hook.once) >= 4

        await bench.until(delivered, "both alerts came to both channels")
        # What was not delivered before the restart comes together with what follows, in any order.
        plain = {b["kind"]: b["text"] for b in bench.hook.once.values() if b["path"] == "/plain"}
        assert plain.keys() == {"service_level", "service_level_met"}
        assert plain["service_level"] == alert.text
        assert plain["service_level_met"].endswith("again: no requests")

        async def listed() -> bool:
            """Alerts are delivered from the log, which the tables follow."""
            found = await bench.calls.ListAlerts(monitoring_pb2.ListAlertsRequest(monitor="flights"))
            kinds = {monitoring_pb2.ALERT_KIND_SERVICE_LEVEL, monitoring_pb2.ALERT_KIND_SERVICE_LEVEL_MET}
            return {a.kind for a in found.alerts} == kinds

        await bench.until(listed, "both alerts are listed")
        assert not (await level(bench)).alerts
        await as_of_the_past_the_answers_are_those_of_then(bench, good, slow)
        await what_is_asked_of_levels_is_checked(bench)
    written = await bench.events()
    assert [type(e) for e in written if isinstance(e, LevelMeasured | LevelBurning | LevelMet)] == [
        LevelMeasured, LevelMeasured, LevelBurning, LevelMeasured, LevelMet,
    ]  # fmt: skip
    assert len([e for e in written if isinstance(e, AlertRaised)]) == 2


async def as_of_the_past_the_answers_are_those_of_then(bench: Any, good: Any, slow: Any) -> None:
    for then in (good, slow):
        read = common_pb2.ReadOptions(as_of=str(then.position))
        assert (await level(bench, read=read)) == then
    with pytest.raises(NotFound, match="there is no service level of '1.0.0' of 'flights' as of 1"):
        await level(bench, read=common_pb2.ReadOptions(as_of="1"))


async def what_is_asked_of_levels_is_checked(bench: Any) -> None:
    async def names(**fields: Any) -> list[tuple[str, str]]:
        found = await calls(bench).ListServiceLevels(pb.ListServiceLevelsRequest(**fields))
        return [(found.deployment, found.version) for found in found.levels]

    both = [("flights", CHAMPION), ("flights", CHALLENGER)]
    assert await names() == await names(model="flight-delay") == await names(deployment="flights") == both
    assert await names(version=CHALLENGER) == both[1:]
    assert not await names(model="another")
    # The last hour of the challenger is not its whole period.
    assert (await level(bench, CHALLENGER, period_hours=1)).requests == 100
    assert (await level(bench, CHALLENGER)).requests == 150
    assert [h.requests for h in (await level(bench, CHALLENGER)).hours] == [50, 100]
    with pytest.raises(Invalid, match="period_hours.*0 to 720"):
        await level(bench, period_hours=721)
    with pytest.raises(Invalid, match="version"):
        await level(bench, "")
    with pytest.raises(NotFound, match="no window of its traffic was held against targets of its model"):
        await level(bench, "9.9.9")
    stranger = connect(bench.address, bench.token("eve", ("developer",), "other"))
    try:
        assert not (await ServiceLevelsStub(stranger).ListServiceLevels(pb.ListServiceLevelsRequest())).levels
    finally:
        await stranger.close()


async def test_only_what_is_promised_is_kept(bench: Any) -> None:
    # The first window comes before the second targets in the log, the second one after them.
    bench.streams.event("serving", "DeploymentStopped")
    async with bench.monitoring():
        await promise(bench, 1, latency_p99_ms=None, availability_percent=None)
        traffic(bench, START, (CHAMPION, 1, 0, 0))
        await promise(bench, 2, latency_p99_ms=None)
        traffic(bench, START + MINUTE, (CHAMPION, 2, 0, 0))
        found = await until_level(bench, START + 2 * MINUTE)
        assert (found.requests, found.targets) == (2, 2)
        (only,) = found.attainments
        assert only.objective == pb.LEVEL_OBJECTIVE_AVAILABILITY
