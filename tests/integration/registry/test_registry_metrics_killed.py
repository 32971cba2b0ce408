"""kill -9 around the sealing of metrics: every acknowledged point is there, once, and the log vouches for it."""

from __future__ import annotations

import asyncio
from typing import Any

from modelog_common.domain.clock import SystemClock
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.stores.curves import digest_of
from modelog_common.stores.curves.sqlite import SqliteCurveStore
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_registry.events import EVENTS
from modelog_registry.run.events import MetricsSealed
from storm import Storm, until_answered

WRITERS, KILLS, BETWEEN_KILLS = 6, 3, 80
TRIES = 20


def column(name: str, step: int, count: int) -> Any:
    return pb.MetricColumn(name=name, steps=range(step, step + count), times_ms=[0] * count, values=[1.5] * count)


async def seals(process: Any, run_id: str) -> list[MetricsSealed]:
    """What the log vouches for; each digest is that of what is kept."""
    store = await SqliteEventStore.open(process.settings.event_store_path(), SystemClock())
    told = [EVENTS.decode(e.type, e.schema, e.payload) async for e in store.read_stream(f"registry.run-{run_id}")]
    await store.close()
    found = [event for event in told if isinstance(event, MetricsSealed)]
    curves = SqliteCurveStore(process.folder / "registry" / "curves.db")
    for event in found:
        assert digest_of(await curves.batches(run_id, event.first, event.last)) == event.digest
    await curves.close()
    return found


async def test_a_point_that_was_kept_and_not_sealed_survives(process: Any) -> None:
    alice = process.person("alice", "developer")
    await alice.experiment()
    for n in range(TRIES):
        run = await alice.run(request_id=f"run-{n}")
        await alice.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run.id, columns=[column("m", 0, 3)]))
        process.kill()
        unsealed = not await seals(process, run.id)
        process.start()
        await process.ready()
        whole = await until_answered(alice.experiments.GetRun, pb.GetRunRequest(run_id=run.id))
        assert len(whole.points) == 3
        assert sum(event.count for event in await seals(process, run.id)) == 3
        if unsealed:
            return
    raise AssertionError(f"in {TRIES} tries the points were sealed before the process was killed")


async def write(person: Any, run_id: str, number: int, storm: Storm) -> None:
    """Large and small batches in turn, each under a request id of its own; several writers share a metric."""
    step = 0
    while not storm.over:
        count = 150 if step % 5 == 0 else 2
        points = column(f"m{number % 2}", 1000 * step, count)
        request = pb.LogMetricsRequest(run_id=run_id, columns=[points], request_id=f"{number}-{step}")
        await until_answered(person.experiments.LogMetrics, request)
        storm.acknowledged["points"] += count
        await storm.note("request")
        step += 1


async def test_what_was_acknowledged_in_a_storm_is_there_once(process: Any) -> None:
    alice = process.person("alice", "developer")
    await alice.experiment()
    run = await alice.run()
    storm = Storm()
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(write(alice, run.id, number, storm))
        for _ in range(KILLS):
            await storm.more(BETWEEN_KILLS)
            process.kill()
            process.start()
            await process.ready()
        await storm.more(BETWEEN_KILLS)
        storm.over = True
    ended = pb.EndRunRequest(run_id=run.id, status=pb.RUN_STATUS_COMPLETED, request_id="end")
    await until_answered(alice.experiments.EndRun, ended)
    found = await points_of(alice, run.id, "m0") + await points_of(alice, run.id, "m1")
    assert found == storm.acknowledged["points"]
    told = await seals(process, run.id)
    assert sum(event.count for event in told) == found
    assert [event.first for event in told] == [1, *(event.last + 1 for event in told[:-1])]


async def points_of(person: Any, run_id: str, metric: str) -> int:
    """How many points a curve has: a fast machine logs more than one page of them."""
    request, count = pb.GetMetricHistoryRequest(run_id=run_id, metric=metric, size=100_000), 0
    while True:
        page = await person.experiments.GetMetricHistory(request)
        count += len(page.points.values)
        if not page.next_page_token:
            return count
        request.page_token = page.next_page_token
