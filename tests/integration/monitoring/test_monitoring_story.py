"""A deployment is watched, loses quality, and gets a better model: the whole way, on a real broker and real gRPC."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
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
        assert not done.HasField("canary")
        plan = pb.CanaryPlan(percent=20, rows=400, alpha=0.05, margin=0.005)
        look = done.latest_look
        assert done.canary_plan == plan
        assert 20 <= look.rows <= 400
        assert look.low < look.gain < look.high
        # Which of them is proved first depends on where the batches end in which the outcomes come.
        assert look.low > -plan.margin
        better = look.low > 0
        assert look.verdict == (pb.CANARY_VERDICT_BETTER if better else pb.CANARY_VERDICT_NOT_WORSE)
        said = "better" if better else "not worse by 0.005 or more"
        assert done.reason.startswith(f"{said} on {look.rows} rows that it answered as a canary")
        assert done.ended_at.seconds >= done.started_at.seconds
        monitor = await bench.calls.GetMonitor(MONITOR)
        assert monitor.reference_auc == pytest.approx(done.evaluation.challenger_auc)
    # A later window may start another.
    assert [done for done in bench.world.done if done != ("submit", "job-2")] == [
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


async def test_a_canary_is_looked_at_after_each_batch_of_outcomes_as_of_any_moment(bench: Any) -> None:
    """Models that are nearly alike: the bounds close in, and with the rows that there are nothing is proved."""
    async with bench.monitoring():
        await to_approval(bench)
        bench.world.models["1.1.0"] = lambda x: bench.world.models["1.0.0"](x + np.float32(0.3))
        bench.streams.reviewed("1.1.0")
        canary = await bench.until_state(pb.RETRAINING_STATE_CANARY)
        asked = pb.ListCanaryLooksRequest(retraining_id=canary.id)
        assert not (await bench.calls.ListCanaryLooks(asked)).looks
        for hour, wanted in ((4, 1), (5, 2)):
            bench.streams.hour(hour, 600)
            assert len(await looks_of(bench, asked, wanted)) == wanted
        one = pb.GetRetrainingRequest(retraining_id=canary.id)
        under_way = await bench.calls.GetRetraining(one)
        assert under_way.state == pb.RETRAINING_STATE_CANARY
        assert under_way.latest_look.verdict == pb.CANARY_VERDICT_UNDECIDED
        for hour in range(6, 9):
            bench.streams.hour(hour, 600)
        done = await bench.until_state(pb.RETRAINING_STATE_REFUSED)
        looks = (await bench.calls.ListCanaryLooks(asked)).looks
        assert [look.number for look in looks] == list(range(1, len(looks) + 1))
        assert (looks[-1].verdict, looks[-1].rows) == (pb.CANARY_VERDICT_NOT_PROVED, 400)
        assert done.reason.startswith("neither better nor less than 0.005 worse is proved on 400 rows")
        for earlier, later in pairwise(looks):
            assert earlier.rows < later.rows
            assert earlier.low <= later.low < later.high <= earlier.high
        then = common_pb2.ReadOptions(as_of=str(looks[0].position))
        past = await bench.calls.ListCanaryLooks(pb.ListCanaryLooksRequest(retraining_id=canary.id, read=then))
        assert list(past.looks) == [looks[0]]
        before = await bench.calls.GetRetraining(pb.GetRetrainingRequest(retraining_id=canary.id, read=then))
        assert (before.latest_look.number, before.state) == (1, pb.RETRAINING_STATE_CANARY)
    assert bench.world.traffic == {"1.0.0": 100.0}


async def looks_of(bench: Any, asked: Any, wanted: int) -> Any:
    """Wait for so many looks."""

    async def there() -> bool:
        return len((await bench.calls.ListCanaryLooks(asked)).looks) >= wanted

    await bench.until(there, f"look {wanted} was taken")
    return (await bench.calls.ListCanaryLooks(asked)).looks


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
        plain = [b for b in bench.hook.once.values() if b["path"] == "/plain"]
        slack = [b for b in bench.hook.once.values() if b["path"] == "/slack"]
        assert sorted(b["kind"] for b in plain) == ["drift", "quality", "quality"]
        assert "1 of 3 features drifted" in next(b["text"] for b in plain if b["kind"] == "drift")
        assert all(b["text"] and b["blocks"][0]["type"] == "header" for b in slack)
        assert len(set(bench.hook.keys)) == 6

        # The windows are in the tables, and come into the series by themselves.
        known = common_pb2.ReadOptions(at_least=second.position)
        asked = pb.GetSeriesRequest(monitor="flights", metric="auc", read=known)
        points = (await bench.calls.GetSeries(asked)).points
        assert [(p.line, p.at.seconds) for p in points[:2]] == [
            ("", first.start.seconds),
            ("1.0.0", first.start.seconds),
        ]
        assert points[0].value == first.quality.auc
        daily = pb.GetSeriesRequest(monitor="flights", metric="predictions", every_s=86_400, aggregate=pb.AGGREGATE_MAX)
        spans = (await bench.calls.GetSeries(daily)).points
        midnight = first.start.seconds // 86_400 * 86_400
        assert [(p.line, p.at.seconds, p.value) for p in spans] == [("", midnight, 1000.0), ("1.0.0", midnight, 1000.0)]
        monitor = await bench.until_counted(3000)
        assert monitor.predictions_watermark.seconds > second.start.seconds
        told = await bench.admin.GetStreamProgress(
            common_pb2.GetStreamProgressRequest(producer="airport", topic="outcomes")
        )
        assert told.sequence == bench.streams.outcomes


async def test_a_rebuild_gives_equal_answers(bench: Any) -> None:
    async def answers() -> list[Any]:
        known = common_pb2.ReadOptions(at_least=(await bench.windows())[-1].position)
        series = [
            await bench.calls.GetSeries(pb.GetSeriesRequest(monitor="flights", metric=m, read=known))
            for m in ("auc", "log_loss", "predictions", "drifted_features")
        ]
        return [
            await bench.calls.GetMonitor(MONITOR),
            await bench.windows(),
            await bench.retrainings(),
            await bench.calls.ListAlerts(pb.ListAlertsRequest()),
            await bench.calls.ListRetrainingPolicies(pb.ListRetrainingPoliciesRequest()),
            await bench.calls.ListCanaryLooks(looks),
            *series,
        ]

    async with bench.monitoring():
        looks = pb.ListCanaryLooksRequest(retraining_id=(await to_approval(bench)).id)
        await bench.until_windows(3)
        bench.streams.reviewed("1.1.0")
        await bench.until_state(pb.RETRAINING_STATE_CANARY)
        bench.streams.hour(4, 2000)
        await bench.until_state(pb.RETRAINING_STATE_PROMOTED)

        async def settled() -> bool:
            alerts = (await bench.calls.ListAlerts(pb.ListAlertsRequest())).alerts
            return all(s == "delivered" for a in alerts for s in a.deliveries.values())

        await bench.until(settled, "all alerts are delivered")
        before = await answers()
        rebuilt = await bench.admin.Rebuild(common_pb2.RebuildRequest())
        assert {p.name for p in rebuilt.projections} == {"tables", "series"}
        assert await answers() == before
        assert before[5].looks
        assert len(before[6].points) >= 6
