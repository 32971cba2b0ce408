"""Every public call: wrong input is named, repeats change nothing, and the past can be asked for."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from modelog_common.domain.errors import AlreadyExists, Forbidden, Invalid, NotFound
from modelog_common.rpc.client import connect
from modelog_proto.common.v1 import common_pb2
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from modelog_proto.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceStub
from modelog_proto.training.v1 import training_pb2

WRONG_MONITORS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "a b"}, "name"),
    ({"deployment": ""}, "deployment"),
    ({"reference": []}, "reference"),
    ({"reference": [common_pb2.DatasetRef(dataset="flights", version=0)]}, "reference[0].version"),
    ({"window": 0}, "window"),
    ({"window": 77}, "window"),
    ({"allowed_lateness_s": -1}, "allowed_lateness_s"),
    ({"reference_auc": 1.5}, "reference_auc"),
    ({"drift": pb.DriftThresholds(ks_distance=2)}, "drift.ks_distance"),
    ({"channels": [pb.AlertChannel(kind=pb.CHANNEL_KIND_SLACK, url="ftp://x")]}, "channels[0].url"),
    ({"channels": [pb.AlertChannel(kind=pb.CHANNEL_KIND_SLACK, url="http://x")] * 2}, "channels[1]"),
    ({"channels": [pb.AlertChannel(kind=pb.CHANNEL_KIND_SLACK, url="https://10.0.0.1/")]}, "channels[0].url"),
    ({"channels": [pb.AlertChannel(kind=pb.CHANNEL_KIND_WEBHOOK, url="https://u:p@x.org/")]}, "channels[0].url"),
    ({"reference": [common_pb2.DatasetRef(dataset="words", version=1)]}, "reference[0]"),
]
WRONG_POLICIES: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"on_quality": False}, "on_drift"),
    ({"canary_percent": 60}, "canary_percent"),
    ({"evaluation_rows": -1}, "evaluation_rows"),
    ({"job": training_pb2.JobSpec(name="fit", experiment="e", entry_point="no colon")}, "job.entry_point"),
    (
        {
            "job": training_pb2.JobSpec(
                name="fit", experiment="e", entry_point="a:b", register=training_pb2.RegisterOnSuccess(model="other")
            )
        },
        "job.register.model",
    ),
    ({"monitor": "drift-only"}, "monitor"),
]


@pytest.fixture
async def running(bench: Any) -> Any:
    """Monitoring with a monitor, a policy, and a monitor without labels."""
    bench.world.add_dataset("words", "", pl.DataFrame({"hour": [1.0], "wind": ["strong"], "carrier": [1.0]}))
    async with bench.monitoring():
        yield bench


async def test_wrong_monitors_are_refused_and_nothing_is_appended(running: Any) -> None:
    for fields, field in WRONG_MONITORS:
        with pytest.raises(Invalid) as refused:
            await running.create_monitor(**fields)
        assert field in [v.field for v in refused.value.violations], (fields, str(refused.value))
    for fields in ({"deployment": "nobody"}, {"reference": [common_pb2.DatasetRef(dataset="flights", version=99)]}):
        with pytest.raises(NotFound):
            await running.create_monitor(**fields)
    assert await running.events() == []


async def test_wrong_policies_are_refused_and_nothing_is_appended(running: Any) -> None:
    await running.create_monitor()
    await running.create_monitor(name="drift-only", label_column="")
    before = await running.events()
    for fields, field in WRONG_POLICIES:
        with pytest.raises(Invalid) as refused:
            await running.create_policy(**fields)
        assert field in [v.field for v in refused.value.violations], (fields, str(refused.value))
    for fields in ({"monitor": "nobody"}, {"dataset": "nobody"}):
        with pytest.raises(NotFound):
            await running.create_policy(**fields)
    assert await running.events() == before


async def test_a_repeat_changes_nothing_and_another_definition_is_refused(running: Any) -> None:
    first = await running.create_monitor(request_id="r-1")
    assert await running.create_monitor(request_id="r-1") == first
    assert (await running.create_monitor()).position == first.position
    policy = await running.create_policy(request_id="r-2")
    assert await running.create_policy() == policy
    assert (policy.evaluation_rows, policy.job.entry_point) == (1500, "flights.train:main")
    assert len(await running.events()) == 2
    with pytest.raises(AlreadyExists, match="exists already with another definition"):
        await running.create_monitor(reference_auc=0.5)
    with pytest.raises(AlreadyExists):
        await running.create_policy(canary_rows=7)


async def test_what_does_not_exist_is_named(running: Any) -> None:
    with pytest.raises(NotFound, match="there is no monitor 'x'"):
        await running.calls.GetMonitor(pb.GetMonitorRequest(name="x"))
    with pytest.raises(NotFound, match="there is no monitor 'x'"):
        await running.calls.ListWindows(pb.ListWindowsRequest(monitor="x"))
    with pytest.raises(NotFound, match="there is no monitor 'x'"):
        await running.calls.GetSeries(pb.GetSeriesRequest(monitor="x", metric="auc"))
    await running.create_monitor()
    with pytest.raises(Invalid, match="'accuracy' is not a series; there are auc, log_loss"):
        await running.calls.GetSeries(pb.GetSeriesRequest(monitor="flights", metric="accuracy"))
    await running.create_monitor(name="later")
    with pytest.raises(NotFound, match=r"as of 1$"):
        await running.calls.GetMonitor(pb.GetMonitorRequest(name="later", read={"as_of": "1"}))
    request = common_pb2.GetStreamProgressRequest(producer="p", topic="predictions")
    with pytest.raises(NotFound, match=r"counts no producers of 'predictions'"):
        await running.admin.GetStreamProgress(request)
    request = common_pb2.GetStreamProgressRequest(producer="nobody", topic="outcomes")
    assert (await running.admin.GetStreamProgress(request)).sequence == 0


async def test_lists_come_in_pages(running: Any) -> None:
    for name in ("c", "a", "b"):
        await running.create_monitor(name=name)
    page = common_pb2.Page(size=2)
    first = await running.calls.ListMonitors(pb.ListMonitorsRequest(page=page))
    page.token = first.next_page_token
    second = await running.calls.ListMonitors(pb.ListMonitorsRequest(page=page))
    assert [m.name for m in (*first.monitors, *second.monitors)] == ["a", "b", "c"]
    assert second.next_page_token == ""
    await running.create_policy(monitor="a")
    policies = await running.calls.ListRetrainingPolicies(pb.ListRetrainingPoliciesRequest())
    assert [p.name for p in policies.policies] == ["retrain"]


async def test_who_may_only_look_creates_nothing(running: Any) -> None:
    address = f"127.0.0.1:{running.port}"
    async with connect(address, running.token("eve", ["viewer"])) as channel:
        calls: Any = MonitoringServiceStub(channel)
        with pytest.raises(Forbidden, match=r"eve lacks the permission monitor\.write"):
            await calls.CreateMonitor(
                pb.CreateMonitorRequest(
                    name="m", deployment="flights", window=pb.WINDOW_UNIT_DAY,
                    reference=[common_pb2.DatasetRef(dataset="flights", version=1)],
                )
            )  # fmt: skip
        assert list((await calls.ListMonitors(pb.ListMonitorsRequest())).monitors) == []
