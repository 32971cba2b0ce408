"""What every SeriesStore promises: inherit the class and give it the fixture `series`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.stores.series import Point, SeriesStore

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class SeriesStoreSuite(ABC):
    """The suite; each test has a store of its own."""

    @pytest.fixture
    @abstractmethod
    def series(self) -> AsyncIterator[SeriesStore]: ...

    async def test_points_come_back_by_time_then_line_then_tags(self, series: SeriesStore) -> None:
        points = [
            Point("quality", "auc", NOON + HOUR, 0.7, {"model": "m"}),
            Point("quality", "auc", NOON, 0.6, {"model": "n"}),
            Point("quality", "log_loss", NOON, 0.5, {"model": "m"}),
            Point("quality", "auc", NOON, 0.75, {"model": "m"}),
        ]
        await series.write(points)
        found = await series.query("quality")
        assert [(p.time, p.line, p.tags["model"], p.value) for p in found] == [
            (NOON, "auc", "m", 0.75),
            (NOON, "auc", "n", 0.6),
            (NOON, "log_loss", "m", 0.5),
            (NOON + HOUR, "auc", "m", 0.7),
        ]
        assert set(map(str, found)) == set(map(str, points))

    async def test_writing_again_replaces_and_never_doubles(self, series: SeriesStore) -> None:
        await series.write([Point("s", "l", NOON, 1.0, {"a": "1", "b": "2"})])
        await series.write([Point("s", "l", NOON, 2.0, {"b": "2", "a": "1"})])
        assert await series.query("s") == [Point("s", "l", NOON, 2.0, {"a": "1", "b": "2"})]

    async def test_tags_select_the_points_that_carry_all_of_them(self, series: SeriesStore) -> None:
        odd = {"model": 'm"1', "stage": "x = 'y'"}
        await series.write([Point("s", "l", NOON, 1.0, odd), Point("s", "l", NOON, 2.0, {"model": 'm"1'})])
        assert [p.value for p in await series.query("s", {"model": 'm"1'})] == [2.0, 1.0]
        assert [p.value for p in await series.query("s", odd)] == [1.0]
        assert await series.query("s", {"model": "other"}) == []
        assert await series.query("other") == []

    async def test_the_start_is_inside_and_the_end_is_not(self, series: SeriesStore) -> None:
        await series.write([Point("s", "l", NOON + n * HOUR, float(n)) for n in range(4)])
        assert [p.value for p in await series.query("s", start=NOON + HOUR, end=NOON + 3 * HOUR)] == [1.0, 2.0]
        assert [p.value for p in await series.query("s", end=NOON + HOUR)] == [0.0]

    async def test_zones_name_the_same_moments(self, series: SeriesStore) -> None:
        new_york = timezone(timedelta(hours=-4))
        await series.write([Point("s", "l", NOON.astimezone(new_york), 1.0)])
        await series.write([Point("s", "l", NOON, 2.0)])
        assert [(p.time, p.value) for p in await series.query("s", start=NOON.astimezone(new_york))] == [(NOON, 2.0)]

    async def test_a_time_without_a_zone_is_refused(self, series: SeriesStore) -> None:
        with pytest.raises(ValueError, match="2013-06-01T12:00:00 has no zone"):
            await series.write([Point("s", "l", NOON.replace(tzinfo=None), 1.0)])

    async def test_values_that_are_not_numbers_are_kept(self, series: SeriesStore) -> None:
        values = [math.inf, -math.inf, math.nan]
        await series.write([Point("s", "l", NOON + n * HOUR, v) for n, v in enumerate(values)])
        found = [p.value for p in await series.query("s")]
        assert found[:2] == values[:2]
        assert math.isnan(found[2])

    async def test_drop_forgets_everything(self, series: SeriesStore) -> None:
        await series.write([Point("s", "l", NOON, 1.0)])
        await series.drop()
        assert await series.query("s") == []
        await series.write([])

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=5),
        tag=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5),
        microseconds=st.integers(-(10**15), 10**15),
    )
    async def test_any_value_and_tag_comes_back_as_it_was(
        self, series: SeriesStore, values: list[float], tag: str, microseconds: int
    ) -> None:
        await series.drop()
        start = NOON + timedelta(microseconds=microseconds)
        points = [Point("s", "l", start + timedelta(microseconds=n), v, {tag: tag}) for n, v in enumerate(values)]
        await series.write(points)
        assert await series.query("s", {tag: tag}) == points
