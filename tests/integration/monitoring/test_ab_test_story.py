"""An A/B test from its plan to its decision, on streams whose truth is known, and with kill -9 on the way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound, Unavailable
from modelog_common.rpc.client import connect
from modelog_common.rpc.errors import DeadlineExceeded
from modelog_monitoring.abtest.events import AbTestDecided, AbTestLooked, AbTestStopped
from modelog_proto.common.v1 import common_pb2
from modelog_proto.monitoring.v1 import abtest_pb2 as pb
from modelog_proto.monitoring.v1.abtest_pb2_grpc import AbTestsStub
from monitoring_world import CHALLENGER, CHAMPION

HALVES = {CHAMPION: 50.0, CHALLENGER: 50.0}


def stub(bench: Any) -> Any:
    return AbTestsStub(bench.channel)


async def planned(bench: Any, **fields: Any) -> Any:
    """The challenger knows what the champion does not, so its squared error is smaller."""
    whole = {
        "name": "newer",
        "deployment": "flights",
        "a": CHAMPION,
        "b": CHALLENGER,
        "metric": pb.AB_METRIC_SQUARED_ERROR,
        "min_effect": 0.02,
        "sd": 0.2,
        "allowed_lateness_s": 1800,
    }
    return await stub(bench).CreateAbTest(pb.CreateAbTestRequest(**{**whole, **fields}))


async def until(bench: Any, holds: Callable[[Any], bool], what: str) -> None:
    """Wait until something holds of the test, also while monitoring is away or takes its time on a busy machine."""

    async def reached() -> bool:
        try:
            return holds(await get(bench))
        except (DeadlineExceeded, Unavailable):
            return False

    await bench.until(reached, what)


async def until_state(bench: Any, state: int) -> Any:
    await until(bench, lambda test: test.state == state, f"the A/B test is {pb.AbState.Name(state)}")
    return await get(bench)


async def get(bench: Any) -> Any:
    return await stub(bench).GetAbTest(pb.GetAbTestRequest(name="newer"))


async def looks(bench: Any) -> Any:
    return (await stub(bench).ListAbLooks(pb.ListAbLooksRequest(name="newer"))).looks


async def until_counted(bench: Any, events: int) -> None:
    await until(
        bench, lambda test: test.latest.events_a + test.latest.events_b >= events, f"{events} outcomes are counted"
    )


async def test_a_better_version_is_found_and_the_way_can_be_looked_at(bench: Any) -> None:
    world, streams = bench.world, bench.streams
    async with bench.monitoring():
        draft = await planned(bench)
        assert draft.state == pb.AB_STATE_DRAFT
        assert draft.needed.a == draft.needed.b > 500
        assert await planned(bench) == draft
        with pytest.raises(AlreadyExists, match="with another plan"):
            await planned(bench, min_effect=0.03)
        with pytest.raises(NotAllowed, match=r"1\.0\.0 and 1\.1\.0 must both have a part of the traffic"):
            await stub(bench).StartAbTest(pb.StartAbTestRequest(name="newer"))
        world.split(HALVES)
        started = await stub(bench).StartAbTest(pb.StartAbTestRequest(name="newer"))
        assert (started.state, started.share_b, started.started_by) == (pb.AB_STATE_RUNNING, 0.5, "alice")
        for hour in range(1, 5):
            streams.hour(hour)
        done = await until_state(bench, pb.AB_STATE_DECIDED)
        assert done.verdict == pb.AB_VERDICT_B_BETTER
        assert done.reason.startswith("1.1.0 is better than 1.0.0: squared error")
        assert done.latest.high < 0
        assert done.latest.p_value <= 0.05
        seen = await looks(bench)
        assert [look.number for look in seen] == list(range(1, len(seen) + 1))
        assert all(x.events_a + x.events_b < y.events_a + y.events_b for x, y in pairwise(seen))
        read = common_pb2.ReadOptions(as_of=str(draft.position))
        assert await stub(bench).GetAbTest(pb.GetAbTestRequest(name="newer", read=read)) == draft
        with pytest.raises(NotAllowed, match="is decided"):
            await stub(bench).StopAbTest(pb.StopAbTestRequest(name="newer", reason="late"))
        listed = await stub(bench).ListAbTests(pb.ListAbTestsRequest(deployment="flights"))
        assert list(listed.tests) == [await get(bench)]
        assert not (await stub(bench).ListAbTests(pb.ListAbTestsRequest(deployment="trains"))).tests


async def test_amounts_are_measured_before_and_the_version_with_less_of_them_is_found(bench: Any) -> None:
    world, streams = bench.world, bench.streams
    world.split(HALVES)
    plan = {"metric": pb.AB_METRIC_AMOUNT, "min_effect": 4, "sd": 0, "measure_s": 7200}
    async with bench.monitoring():
        with pytest.raises(Invalid, match=r"found 0 predictions of 1\.0\.0 with a known amount"):
            await planned(bench, **plan)
        streams.hour(0)
        streams.hour(1)

        async def enough() -> bool:
            try:
                await planned(bench, **plan)
            except Invalid:
                return False
            return True

        await bench.until(enough, "enough amounts have come to be measured")
        draft = await get(bench)
        assert draft.measured.events >= 100
        assert 10 < draft.measured.mean < 30 < draft.measured.sd < 60
        assert (draft.baseline, draft.sd) == (draft.measured.mean, draft.measured.sd)
        assert draft.method == pb.AB_METHOD_CONFIDENCE_SEQUENCE
        streams.hour(2)
        assert await planned(bench, **plan) == draft, "measured again it would be another number, and is the same plan"
        await stub(bench).StartAbTest(pb.StartAbTestRequest(name="newer"))
        for hour in range(3, 7):
            streams.hour(hour)
        done = await until_state(bench, pb.AB_STATE_DECIDED)
        assert done.verdict == pb.AB_VERDICT_B_BETTER
        assert done.reason.startswith("1.1.0 is better than 1.0.0: amount")
        assert 4 < done.latest.mean_b < 15 < done.latest.mean_a < 25
        assert done.latest.high < 0


async def test_a_test_that_gets_no_requests_any_more_ends_by_itself(bench: Any) -> None:
    bench.world.split(HALVES)
    async with bench.monitoring():
        await planned(bench, longest_s=1)
        started = await stub(bench).StartAbTest(pb.StartAbTestRequest(name="newer"))
        assert started.ends_by.ToMicroseconds() - started.started_at.ToMicroseconds() == 1_000_000
        done = await until_state(bench, pb.AB_STATE_DECIDED)
        assert done.verdict == pb.AB_VERDICT_INCONCLUSIVE
        assert done.reason.endswith("not enough for a decision: no prediction with an outcome was counted")
        assert done.ended_at.ToMicroseconds() >= done.ends_by.ToMicroseconds()
        assert not done.HasField("latest")


async def test_a_test_whose_traffic_is_changed_is_stopped_and_says_so(bench: Any) -> None:
    world, streams = bench.world, bench.streams
    world.models[CHALLENGER] = world.models[CHAMPION]
    world.split(HALVES)
    async with bench.monitoring():
        await planned(bench, min_effect=0.01)
        await stub(bench).StartAbTest(pb.StartAbTestRequest(name="newer"))
        streams.hour(0)
        streams.hour(1)
        # All that was sent: a later look would be another.
        await until_counted(bench, 2000)
        before = (await get(bench)).latest
        world.split({CHAMPION: 90.0, CHALLENGER: 10.0})
        streams.hour(2)
        streams.hour(3)
        stopped = await until_state(bench, pb.AB_STATE_STOPPED)
        assert stopped.reason.startswith("stopped by service:monitoring: flights was changed at position 2 (1.0.0 90 %")
        assert stopped.latest == before
        (event,) = [e for e in await bench.events() if isinstance(e, AbTestStopped)]
        assert event.evidence is not None
        assert event.evidence.events_a == before.events_a


async def test_killed_while_it_runs_every_outcome_counts_once(bench: Any, process: Any) -> None:
    world, streams = bench.world, bench.streams
    world.split(HALVES)
    await planned(bench, min_effect=0.005)
    await stub(bench).StartAbTest(pb.StartAbTestRequest(name="newer"))
    streams.hour(0)
    streams.hour(1, 300, answered=CHAMPION)
    await until_counted(bench, 900)
    process.kill()
    before = [e for e in await bench.events() if isinstance(e, AbTestLooked)]
    for hour in range(2, 5):
        streams.hour(hour)
    await process.start()
    done = await until_state(bench, pb.AB_STATE_DECIDED)
    assert done.verdict == pb.AB_VERDICT_B_BETTER
    process.kill()
    events = await bench.events()
    told = [e for e in events if isinstance(e, AbTestLooked)]
    assert told[: len(before)] == before
    assert [e.number for e in told] == list(range(1, len(told) + 1))
    counted = [e.figures.events_a + e.figures.events_b for e in told]
    # Hours of 1,000, 300, 1,000 ... rows, one every 3.6 or 12 seconds, of which each is counted once.
    assert counted == [streams.rows_before(e.until) for e in told]
    assert sum(isinstance(e, AbTestDecided) for e in events) == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "a b"}, "name"),
    ({"metric": 0}, "metric"),
    ({"metric": 77}, "metric"),
    ({"method": 77}, "method"),
    ({"b": CHAMPION}, "b"),
    ({"min_effect": 0}, "min_effect"),
    ({"alpha": 0.7}, "alpha"),
    ({"sd": 0}, "sd"),
    ({"metric": pb.AB_METRIC_ERROR}, "baseline"),
    ({"metric": pb.AB_METRIC_ERROR, "baseline": 12.5}, "baseline"),
    ({"sd": float("inf")}, "sd"),
    ({"sd": float("nan")}, "sd"),
    ({"baseline": float("nan")}, "baseline"),
    ({"longest_s": -1}, "longest_s"),
    ({"measure_s": 60}, "sd"),
    ({"lowest": 0}, "lowest"),
    ({"metric": pb.AB_METRIC_AMOUNT, "method": pb.AB_METHOD_EXACT, "lowest": 0}, "highest"),
    ({"metric": pb.AB_METRIC_AMOUNT, "method": pb.AB_METHOD_MIXTURE_SPRT}, "method"),
]


async def test_wrong_plans_are_refused_and_nothing_is_appended(bench: Any) -> None:
    async with bench.monitoring():
        for fields, field in WRONG:
            with pytest.raises(Invalid) as refused:
                await planned(bench, **fields)
            assert field in [v.field for v in refused.value.violations], (fields, str(refused.value))
        with pytest.raises(NotFound):
            await planned(bench, deployment="nobody")
        for call, request in (
            ("StartAbTest", pb.StartAbTestRequest(name="nobody")),
            ("StopAbTest", pb.StopAbTestRequest(name="nobody")),
            ("GetAbTest", pb.GetAbTestRequest(name="nobody")),
            ("ListAbLooks", pb.ListAbLooksRequest(name="nobody")),
        ):
            with pytest.raises(NotFound, match="there is no"):
                await getattr(stub(bench), call)(request)
        stranger = bench.token("eve", ("developer",), "other")
        async with connect(bench.address, stranger) as channel:
            request = pb.CreateAbTestRequest(
                name="newer", deployment="flights", a=CHAMPION, b=CHALLENGER, metric=pb.AB_METRIC_ERROR
            )
            with pytest.raises(Invalid, match="runs A/B tests of the tenant 'acme' only"):
                await AbTestsStub(channel).CreateAbTest(request)
        assert await bench.events() == []
