"""The series of a log that was restored to an earlier position hold its windows, and none of the log before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import EventStore, NewEvent
from modelog_common.stores.series import SeriesStore
from modelog_common.stores.series.sqlite import SqliteSeriesStore
from modelog_monitoring.events import EVENTS
from modelog_monitoring.monitor.events import WindowEvaluated
from modelog_monitoring.read.series import SeriesProjection

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def series(tmp_path: Path) -> AsyncIterator[SeriesStore]:
    """The store that outlives the log; tests/servers puts InfluxDB here."""
    store = SqliteSeriesStore(tmp_path / "series.db")
    yield store
    await store.close()


async def append(store: EventStore, day: int, predictions: int) -> None:
    start = JANUARY + timedelta(days=day)
    window = WindowEvaluated(
        "m", "watch", f"w{day}", f"day {day}", start, start + timedelta(days=1), predictions, 0, {}, (), 0, None, {},
        "", 0.7, False, False, "", start,
    )  # fmt: skip
    kind, schema, payload = EVENTS.encode(window)
    await store.append("monitoring.monitor-m", [NewEvent(str(uuid7()), kind, schema, payload, "acme", "monitoring")])


async def predictions(store: EventStore, series: SeriesStore) -> dict[int, float]:
    """By day, what a service that has just started answers."""
    projection = SeriesProjection(store, series)
    await projection.catch_up()
    points = await projection.points("predictions", {"tenant": "acme", "monitor": "watch"})
    return {(point.time - JANUARY).days: point.value for point in points}


async def test_points_of_the_log_before_are_dropped(series: SeriesStore, tmp_path: Path) -> None:
    store = await SqliteEventStore.open(tmp_path / "events.db")
    for day in (0, 1, 2):
        await append(store, day, 100)
    assert await predictions(store, series) == {0: 100, 1: 100, 2: 100}
    assert await predictions(store, series) == {0: 100, 1: 100, 2: 100}
    restored = await SqliteEventStore.open(tmp_path / "restored.db")
    await restored.restore([event async for event in store.read_all(until=1)])
    await append(restored, 1, 7)
    assert await predictions(restored, series) == {0: 100, 1: 7}
    again = SeriesProjection(restored, series)
    assert await again.rebuild() == 2
    assert await predictions(restored, series) == {0: 100, 1: 7}
    await store.close()
    await restored.close()
