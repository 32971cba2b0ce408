"""A deployment is watched, loses quality, and gets a better model: the whole way, on a real broker and real gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_proto.common.v1 import common_pb2
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb

MONITOR = pb.GetMonitorRequest(name="flights")


async def to_approval(bench: Any) -> Any:
    """A window with a loss of quality, a challenger, and enough fresh rows: it awaits its approval."""
    await bench.create_monitor()
    await bench.create_policy()
    bench.streams.hour(0)
    bench.streams.hour(1)
    retraining = await bench.until_state(pb.RETRAINING_STATE_TRAINING)
    bench.streams.job_succeeded(retraining.job_id, "1.1.0")
    await bench.until_state(pb.RETRAINING_STATE_EVALUATING)
    bench.streams.hour(2)
    bench.streams.hour(3)
    return await bench.until_state(pb.RETRAINING_STATE_AWAITING_APPROVAL)


async def test_a_better_challenger_is_trained_tried_and_promoted(bench: Any) -> None:
    async with bench.monitoring():
        waiting = await to_approval(bench)
        assert waiting.evaluation.rows == 1500
        assert waiting.evaluation.challenger_wins
        assert waiting.evaluation.auc_low > 0
        assert getattr(waiting.evaluation, "from").seconds >= 1364778000  # the first hour's end
        bench.streams.reviewed("1.1.0")
        await bench.until_state(pb.RETRAINING_STATE_CANARY)
        assert bench.world.traffic == {"1.0.0": 80.0, "1.1.0": 20.0}
        bench.streams.hour(4, 2000)
        bench.streams.hour(5, 2000)
        done = await bench.until_state(pb.RETRAINING_STATE_PROMOTED)
        assert (done.champion, done.challenger, done.model) == ("1.0.0", "1.1.0", "flight-delay")
        assert done.canary.rows == 400
        assert done.canary.challenger_wins
        assert done.ended_at.seconds >= done.started_at.seconds
        monitor = await bench.calls.GetMonitor(MONITOR)
        assert monitor.reference_auc == pytest.approx(done.evaluation.challenger_auc)
    assert bench.world.done == [
        ("submit", "job-1"),
        ("promote", "1.1.0", "staging"),
        ("traffic", "1.0.0=80 1.1.0=20"),
        ("promote", "1.1.0", "production"),
        ("traffic", "1.1.0=100"),
        ("promote", "1.0.0", "archived"),
    ]
    spec = bench.world.jobs["job-1"].spec
    assert [(d.dataset, d.version) for d in spec.datasets] == [("flights", 1), ("flights", 2)]
    assert spec.register.model == "flight-delay"


async def test_windows_alerts_series_and_progress_are_answered(bench: Any) -> None:
    async with bench.monitoring():
        await bench.create_monitor()
        bench.streams.hour(0)
        bench.streams.hour(1, shift=1.0)
        bench.streams.hour(2)
        first, second = (await bench.until_windows(2))[:2]
        assert (first.predictions, first.labelled, first.drifted_features, first.drift_alert) == (1000, 1000, 0, False)
        assert first.quality_alert
        assert first.quality.auc_low < first.quality.auc < first.quality.auc_high < 0.9
        assert list(first.by_version) == ["1.0.0"]
        assert second.drift_alert
        assert [f.feature for f in second.features if f.drifted] == ["wind"]
        assert [f.test for f in second.features] == ["ks", "ks", "chi2"]
        assert second.start.seconds - first.start.seconds == 3600

        async def delivered() -> bool:
            alerts = (await bench.calls.ListAlerts(pb.ListAlertsRequest(monitor="flights"))).alerts
            return len(alerts) == 3 and {s for a in alerts for s in a.deliveries.values()} == {"delivered"}

        await bench.until(delivered, "three alerts are delivered to both channels")
        plain = [b for b in bench.hook.bodies if b["path"] == "/plain"]
        slack = [b for b in bench.hook.bodies if b["path"] == "/slack"]
        assert sorted(b["kind"] for b in plain) == ["drift", "quality", "quality"]
        assert "1 of 3 features drifted" in next(b["text"] for b in plain if b["kind"] == "drift")
        assert all(b["text"] and b["blocks"][0]["type"] == "header" for b in slack)
        assert len(set(bench.hook.keys)) == 6

        points = (await bench.calls.GetSeries(pb.GetSeriesRequest(monitor="flights", metric="auc"))).points
        assert [(p.line, p.at.seconds) for p in points[:2]] == [
            ("", first.start.seconds),
            ("1.0.0", first.start.seconds),
        ]
        assert points[0].value == first.quality.auc
        daily = pb.GetSeriesRequest(monitor="flights", metric="predictions", every_s=86_400, aggregate=pb.AGGREGATE_MAX)
        spans = (await bench.calls.GetSeries(daily)).points
        midnight = first.start.seconds // 86_400 * 86_400
        assert [(p.line, p.at.seconds, p.value) for p in spans] == [("", midnight, 1000.0), ("1.0.0", midnight, 1000.0)]
        monitor = await bench.calls.GetMonitor(MONITOR)
        assert (monitor.predictions, monitor.outcomes) == (3000, 3000)
        assert monitor.predictions_watermark.seconds > second.start.seconds
        told = await bench.admin.GetStreamProgress(
            common_pb2.GetStreamProgressRequest(producer="airport", topic="outcomes")
        )
        assert told.sequence == bench.streams.outcomes


async def test_a_rebuild_gives_equal_answers(bench: Any) -> None:
    async def answers() -> list[Any]:
        series = [
            await bench.calls.GetSeries(pb.GetSeriesRequest(monitor="flights", metric=m))
            for m in ("auc", "log_loss", "predictions", "drifted_features")
        ]
        return [
            await bench.calls.GetMonitor(MONITOR),
            await bench.windows(),
            await bench.retrainings(),
            await bench.calls.ListAlerts(pb.ListAlertsRequest()),
            await bench.calls.ListRetrainingPolicies(pb.ListRetrainingPoliciesRequest()),
            *series,
        ]

    async with bench.monitoring():
        await to_approval(bench)
        await bench.until_windows(3)

        async def settled() -> bool:
            alerts = (await bench.calls.ListAlerts(pb.ListAlertsRequest())).alerts
            return all(s == "delivered" for a in alerts for s in a.deliveries.values())

        await bench.until(settled, "all alerts are delivered")
        before = await answers()
        rebuilt = await bench.admin.Rebuild(common_pb2.RebuildRequest())
        assert {p.name for p in rebuilt.projections} == {"tables", "series"}
        assert await answers() == before
        assert len(before[5].points) >= 6
