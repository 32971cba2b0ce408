"""A log that was restored to an earlier position, while the store of curves holds what came after it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from modelog_common.adapters import open_curves
from modelog_common.domain.errors import NotFound
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.stores.curves import digest_of
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_registry.events import EVENTS
from modelog_registry.run.events import MetricsSealed


async def log(person: Any, run_id: str, first: int, *values: float) -> None:
    steps = range(first, first + len(values))
    column = pb.MetricColumn(name="loss", steps=steps, times_ms=[0] * len(values), values=values)
    await person.experiments.LogMetrics(pb.LogMetricsRequest(run_id=run_id, columns=[column]))


async def whole(person: Any, run_id: str) -> Any:
    """The run as of now: what waits is sealed first."""
    return await person.experiments.GetRun(pb.GetRunRequest(run_id=run_id))


async def points(person: Any, run_id: str) -> list[float]:
    request = pb.GetMetricHistoryRequest(run_id=run_id, metric="loss")
    return list((await person.experiments.GetMetricHistory(request)).points.values)


async def vouched(registry: Any, run_id: str) -> list[tuple[int, int]]:
    """Which batches the log seals; what it says of each is what the store holds."""
    store = await SqliteEventStore.open(registry.settings.event_store_path(), registry.clock)
    told = [EVENTS.decode(e.type, e.schema, e.payload) async for e in store.read_stream(f"registry.run-{run_id}")]
    await store.close()
    seals = [event for event in told if isinstance(event, MetricsSealed)]
    curves = open_curves(registry.settings, "registry")
    for event in seals:
        assert digest_of(await curves.batches(run_id, event.first, event.last)) == event.digest
    await curves.close()
    return [(event.first, event.last) for event in seals]


def copied(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)


async def set_back(log_file: Path, older: Path, clock: Any) -> None:
    """The log is what it was, with a history of its own."""
    for file in log_file.parent.glob(f"{log_file.name}*"):
        file.unlink()
    shutil.copyfile(older, log_file)
    store = await SqliteEventStore.open(log_file, clock)
    await store.renew()
    await store.close()


@pytest.fixture
def told() -> dict[str, Any]:
    """What the registry is told of its store of curves."""
    return {}


async def test_what_a_restored_log_does_not_seal_is_sealed_again(
    registry_with: Callable[..., Any], once_more: Callable[..., Any], told: dict[str, Any], tmp_path: Path
) -> None:
    folder, older = tmp_path / "registry", tmp_path / "older.db"
    async with registry_with(folder, **told) as first:
        alice = first.person("alice")
        await alice.experiment()
        run = await alice.run(name="known")
        await log(alice, run.id, 0, 0.9)
        assert (await whole(alice, run.id)).metrics["loss"] == 0.9
        copied(first.settings.event_store_path(), older)
        await log(alice, run.id, 1, 0.5, 0.4)
        await log(alice, run.id, 3, 0.3)
        unknown = await alice.run(name="unknown")
        await log(alice, unknown.id, 0, 7.0)
        assert (await whole(alice, run.id)).metrics["loss"] == 0.3
        assert (await vouched(first, run.id))[-1][1] == 3
    await set_back(first.settings.event_store_path(), older, first.clock)
    async with once_more(first) as again:
        alice = again.person("alice")
        assert (await whole(alice, run.id)).metrics["loss"] == 0.3
        assert await points(alice, run.id) == [0.9, 0.5, 0.4, 0.3]
        assert await vouched(again, run.id) == [(1, 1), (2, 3)]
        with pytest.raises(NotFound, match="there is no run"):
            await points(alice, unknown.id)
        await log(alice, run.id, 4, 0.2)
        assert await points(alice, run.id) == [0.9, 0.5, 0.4, 0.3, 0.2]
        await whole(alice, run.id)
        assert (await vouched(again, run.id))[-1] == (4, 4)
