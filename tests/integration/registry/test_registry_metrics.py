"""Points of metrics: kept at once, vouched for soon, read back whole."""

from __future__ import annotations

import asyncio
import math
import struct
from typing import Any

import pytest
from modelog_common.adapters import open_curves
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.stores.curves import digest_of
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_registry.events import EVENTS

AT_MS = 1_700_000_000_123


def column(name: str, *values: float, first: int = 0) -> Any:
    steps = range(first, first + len(values))
    return pb.MetricColumn(name=name, steps=steps, times_ms=[AT_MS + s for s in steps], values=values)


async def log(person: Any, run_id: str, *columns: Any, **fields: Any) -> Any:
    return await person.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run_id, columns=columns, **fields))


async def history(person: Any, run_id: str, metric: str, **fields: Any) -> Any:
    request = pb.GetMetricHistoryRequest(run_id=run_id, metric=metric, **fields)
    return await person.experiments.GetMetricHistory(request)


async def get(person: Any, run_id: str, **read: Any) -> Any:
    return await person.experiments.GetRun(pb.GetRunRequest(run_id=run_id, read=common.ReadOptions(**read)))


async def seals(registry: Any, run_id: str) -> list[Any]:
    """What the log vouches for of a run."""
    store = await SqliteEventStore.open(registry.settings.event_store_path(), registry.clock)
    events = [e async for e in store.read_stream(f"registry.run-{run_id}")]
    await store.close()
    told = [EVENTS.decode(e.type, e.schema, e.payload) for e in events]
    return [e for e in told if type(e).__name__ == "MetricsSealed"]


async def test_points_of_several_runs_at_once(alice: Any) -> None:
    await alice.experiment()
    first, second = await alice.run(), await alice.run()

    def of(run_id: str, request_id: str, *columns: Any) -> Any:
        return pb.LogMetricsRequest(run_id=run_id, request_id=request_id, columns=columns)

    both = [of(first.id, "1", column("loss", 0.9)), of(second.id, "2", column("loss", 0.8, 0.7))]
    for _ in range(2):
        await alice.experiments.LogMetricsOfRuns(pb.LogMetricsOfRunsRequest(runs=both))
    wrong = [of("none", "3", column("loss", 1)), of(second.id, "4", column("loss", 0.6, first=2))]
    with pytest.raises(NotFound, match="none"):
        await alice.experiments.LogMetricsOfRuns(pb.LogMetricsOfRunsRequest(runs=wrong))
    await log(alice, second.id, column("loss", 0.6, first=2), request_id="4")
    assert list((await history(alice, first.id, "loss")).points.values) == [0.9]
    assert list((await history(alice, second.id, "loss")).points.values) == [0.8, 0.7, 0.6], "each was taken once"
    with pytest.raises(Invalid, match=r"runs\[0\].request_id"):
        await alice.experiments.LogMetricsOfRuns(pb.LogMetricsOfRunsRequest(runs=[of(first.id, "", column("m", 1))]))


async def test_points_are_read_back_at_once(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    answer = await log(alice, run.id, column("loss", 0.9, 0.5), column("auc", math.nan))
    assert answer.position == run.position, "it did not wait for the log"
    await log(alice, run.id, column("loss", 0.4, first=2))
    whole = await get(alice, run.id)
    assert whole.metrics["loss"] == 0.4
    assert math.isnan(whole.metrics["auc"])
    assert [(p.name, p.step, p.at.ToMilliseconds()) for p in whole.points] == [
        ("loss", 0, AT_MS), ("loss", 1, AT_MS + 1), ("auc", 0, AT_MS), ("loss", 2, AT_MS + 2),
    ]  # fmt: skip
    assert {p.name: p.step for p in whole.last_points} == {"loss": 2, "auc": 0}
    points = (await history(alice, run.id, "loss")).points
    assert (list(points.steps), list(points.values)) == ([0, 1, 2], [0.9, 0.5, 0.4])
    assert list(points.times_ms) == [AT_MS, AT_MS + 1, AT_MS + 2]
    assert not (await history(alice, run.id, "nope")).points.values


async def test_what_log_run_told_stands_in_the_same_history(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await log(alice, run.id, column("loss", 0.9, 0.5))
    point = pb.MetricPoint(name="loss", value=0.7, step=1)
    point.at.FromMilliseconds(AT_MS)
    await alice.experiments.LogRun(pb.LogRunRequest(run_id=run.id, metrics=[point]))
    points = (await history(alice, run.id, "loss")).points
    assert list(points.values) == [0.9, 0.7, 0.5]
    assert (await get(alice, run.id)).metrics["loss"] == 0.5


async def test_a_long_history_comes_in_pages(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    for n in range(3):
        await log(alice, run.id, column("m", *(float(n) for n in range(1000)), first=1000 * n))
    got: list[int] = []
    page = await history(alice, run.id, "m", size=700)
    while True:
        got += page.points.steps
        assert len(page.points.steps) <= 700
        if not page.next_page_token:
            break
        # What is logged meanwhile is not in these pages.
        await log(alice, run.id, column("m", 1.0, first=-len(got)))
        page = await history(alice, run.id, "m", size=700, page_token=page.next_page_token)
    assert got == list(range(3000))
    with pytest.raises(Invalid, match="page_token"):
        await history(alice, run.id, "m", page_token="x")


async def thinned(person: Any, run_id: str, **fields: Any) -> Any:
    request = pb.GetThinnedMetricRequest(run_id=run_id, metric="m", **fields)
    return await person.experiments.GetThinnedMetric(request)


async def test_a_long_curve_is_had_thinned_whole_or_in_part_now_and_as_of_before(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    values = [float(n % 100) for n in range(3000)]
    values[1717] = 1000.0
    for n in range(3):
        await log(alice, run.id, column("m", *values[1000 * n : 1000 * n + 1000], first=1000 * n))
    before = (await get(alice, run.id)).position
    await log(alice, run.id, column("m", math.nan, -1.0, first=3000))
    whole = await thinned(alice, run.id, size=50)
    assert (whole.total, whole.lowest, whole.highest, whole.not_finite) == (3002, -1.0, 1000.0, 1)
    assert {0, 1717, 3001} <= set(whole.points.steps)
    assert len(whole.points.values) <= 51
    then = await thinned(alice, run.id, size=50, read=common.ReadOptions(as_of=str(before)))
    assert (then.total, then.not_finite, then.points.steps[-1]) == (3000, 0, 2999)
    part = await thinned(alice, run.id, along=pb.CURVE_AXIS_STEP, first=1700, last=1719)
    assert list(part.points.steps) == list(range(1700, 1720))
    same = await thinned(alice, run.id, along=pb.CURVE_AXIS_TIME, first=AT_MS + 1700, last=AT_MS + 1719)
    assert same == part
    with pytest.raises(Invalid, match="first"):
        await thinned(alice, run.id, along=pb.CURVE_AXIS_STEP, first=2, last=1)
    with pytest.raises(NotFound):
        await thinned(alice, "none")


async def test_what_log_run_told_is_in_the_thinned_curve(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await log(alice, run.id, column("m", 0.9, 0.5))
    point = pb.MetricPoint(name="m", value=7.0, step=1)
    point.at.FromMilliseconds(AT_MS)
    await alice.experiments.LogRun(pb.LogRunRequest(run_id=run.id, metrics=[point]))
    got = await thinned(alice, run.id)
    assert (list(got.points.values), got.total, got.highest) == ([0.9, 7.0, 0.5], 3, 7.0)


async def test_the_log_vouches_for_what_is_kept(alice: Any, bob: Any, registry: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await log(alice, run.id, column("large", *([1.0] * 100)))
    for n in range(5):
        await log(alice, run.id, column("small", n, first=n))
    await log(bob, run.id, column("small", 9.0, first=9))
    await get(alice, run.id)
    told = await seals(registry, run.id)
    assert sum(e.count for e in told) == 106
    assert [e.first for e in told] == [1, *(e.last + 1 for e in told[:-1])]
    curves = open_curves(registry.settings, "registry")
    for e in told:
        batches = await curves.batches(run.id, e.first, e.last)
        assert digest_of(batches) == e.digest
        assert len({b.author for b in batches}) == 1
    await curves.close()


async def test_small_writes_are_vouched_for_without_being_asked(alice: Any, registry: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await log(alice, run.id, column("m", 1.0))
    store = await SqliteEventStore.open(registry.settings.event_store_path(), registry.clock)
    await store.wait_beyond(run.position, timeout_s=150)
    assert await store.head() == run.position + 1
    await store.close()


async def test_an_end_comes_after_everything_that_was_measured(alice: Any, registry: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await log(alice, run.id, column("m", 1.0))
    ended = await alice.experiments.EndRun(pb.EndRunRequest(run_id=run.id, status=pb.RUN_STATUS_COMPLETED))
    assert (ended.metrics["m"], ended.position) == (1.0, run.position + 2)
    with pytest.raises(NotAllowed, match="takes nothing more"):
        await log(alice, run.id, column("m", 2.0))


async def test_as_of_a_position_a_run_has_what_was_sealed_by_then(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await log(alice, run.id, column("m", 1.0))
    first = await get(alice, run.id)
    await log(alice, run.id, column("m", 2.0, first=1))
    second = await get(alice, run.id)
    assert await get(alice, run.id, as_of=str(first.position)) == first
    assert await get(alice, run.id, as_of=str(second.position)) == second
    then = await history(alice, run.id, "m", read=common.ReadOptions(as_of=str(first.position)))
    assert list(then.points.values) == [1.0]
    with pytest.raises(NotFound):
        await history(alice, run.id, "m", read=common.ReadOptions(as_of=str(run.position - 1)))
    with pytest.raises(Invalid, match="is in the future"):
        await history(alice, run.id, "m", read=common.ReadOptions(as_of="999999"))


async def test_the_same_request_is_taken_once(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    for _ in range(3):
        await log(alice, run.id, column("m", 1.0), request_id="once")
    await log(alice, run.id, column("m", 1.0), request_id="twice")
    assert len((await history(alice, run.id, "m")).points.values) == 2


async def test_many_log_to_one_run_at_once(alice: Any, bob: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await asyncio.gather(*(log(p, run.id, column("m", n, first=n)) for n, p in enumerate([alice, bob] * 100)))
    assert list((await history(alice, run.id, "m")).points.steps) == list(range(200))
    assert (await get(alice, run.id)).metrics["m"] == 199


def packed(**changed: Any) -> Any:
    """Two points of one metric and one of another."""
    fields: dict[str, Any] = {"names": ["loss", "auc"], "counts": [2, 1]}
    fields |= {"steps": struct.pack("<3q", 1, 0, -3), "times_ms": struct.pack("<3q", AT_MS, AT_MS, AT_MS)}
    return pb.MetricBlock(**fields | {"values": struct.pack("<3d", 0.5, 0.9, math.inf)} | changed)


async def test_a_block_is_taken_as_its_columns_are(alice: Any) -> None:
    await alice.experiment()
    run = await alice.run()
    await alice.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run.id, block=packed()))
    loss = (await history(alice, run.id, "loss")).points
    assert (list(loss.steps), list(loss.values), list(loss.times_ms)) == ([0, 1], [0.9, 0.5], [AT_MS, AT_MS])
    auc = (await history(alice, run.id, "auc")).points
    assert (list(auc.steps), list(auc.values)) == ([-3], [math.inf])
    assert (await get(alice, run.id)).metrics == {"loss": 0.5, "auc": math.inf}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"names": ["loss"]}, "block.counts"),
        ({"names": ["loss", ""]}, "block.names[1]"),
        ({"names": ["loss", "x" * 251]}, "block.names[1]"),
        ({"names": [], "counts": []}, "block.names"),
        ({"counts": [3, 0]}, "block.counts[1]"),
        ({"counts": [2, 2]}, "block.steps"),
        ({"steps": b"1234567"}, "block.steps"),
        ({"times_ms": b""}, "block.times_ms"),
        ({"values": b"x" * 25}, "block.values"),
        ({"times_ms": struct.pack("<3q", 0, 10**18, 0)}, "block.times_ms"),
        ({"names": ["m"], "counts": [4_000_000_000]}, "block.steps"),
        (
            {"names": ["m"], "counts": [10_001]} | dict.fromkeys(("steps", "times_ms", "values"), b"\x00" * 80008),
            "block",
        ),
    ],
)
async def test_a_wrong_block_is_refused_by_the_fields_name(alice: Any, wrong: dict[str, Any], field: str) -> None:
    await alice.experiment()
    run = await alice.run()
    with pytest.raises(Invalid) as refused:
        await alice.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run.id, block=packed(**wrong)))
    assert [v.field for v in refused.value.violations] == [field]
    with pytest.raises(Invalid, match="columns: stand beside block"):
        both = pb.LogMetricsRequest(run_id=run.id, block=packed(), columns=[column("m", 1.0)])
        await alice.experiments.LogMetrics(both)
    assert not (await get(alice, run.id)).metrics


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ([pb.MetricColumn(name="m", steps=[1], times_ms=[0, 1], values=[1])], "columns[0]"),
        ([pb.MetricColumn(name="m")], "columns[0].values"),
        ([pb.MetricColumn(name="m", steps=[0], times_ms=[10**18], values=[1])], "columns[0].times_ms"),
        ([pb.MetricColumn(steps=[0], times_ms=[0], values=[1])], "columns[0].name"),
        ([column(f"m{n}", *([0.0] * 5001)) for n in range(2)], "columns"),
        ([], "columns"),
    ],
)
async def test_wrong_columns_are_named(alice: Any, wrong: list[Any], field: str) -> None:
    await alice.experiment()
    run = await alice.run()
    with pytest.raises(Invalid) as refused:
        await log(alice, run.id, *wrong)
    assert [v.field for v in refused.value.violations] == [field]
    assert not (await get(alice, run.id)).metrics


async def test_a_run_that_is_not_there_takes_nothing(alice: Any) -> None:
    with pytest.raises(NotFound, match="there is no run 'nope'"):
        await log(alice, "nope", column("m", 1.0))
