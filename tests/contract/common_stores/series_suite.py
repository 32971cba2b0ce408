"""What every SeriesStore promises: inherit the class and give it the fixture `series`."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.domain.errors import Invalid
from modelog_common.stores.series import Aggregate, Point, SeriesStore
from modelog_common.stores.series.checks import LONGEST_TEXT, MOST_TAGS

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
# What a store of these tests allows, so that its limit can be reached.
FEW_LINES = 200
HOSTILE = [
    "",
    " ",
    "a,b=c d",
    'say "no"',
    "back\\",
    "new\nline",
    "${x}",
    "#",
    "_field",
    "%",
    "%25",
    "naïve 日本 🛩",
    "' OR 1=1 --",
    "tag.x",
]


class SeriesStoreSuite(ABC):
    """The suite; each test has a store of its own, which allows FEW_LINES."""

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
        with pytest.raises(Invalid, match="time: 2013-06-01T12:00:00 has no zone"):
            await series.write([Point("s", "l", NOON.replace(tzinfo=None), 1.0)])
        with pytest.raises(Invalid, match="time: 2013-06-01T12:00:00 has no zone"):
            await series.query("s", start=NOON.replace(tzinfo=None))

    @pytest.mark.parametrize("year", [1677, 2262])
    async def test_a_year_that_cannot_be_counted_is_refused(self, series: SeriesStore, year: int) -> None:
        with pytest.raises(Invalid, match="years from 1678 to 2261 are allowed"):
            await series.write([Point("s", "l", NOON, 1.0), Point("s", "l", NOON.replace(year=year), 1.0)])
        assert await series.query("s") == [], "nothing of it is stored"
        edges = [Point("s", "l", NOON.replace(year=year), 1.0) for year in (1678, 2261)]
        await series.write(edges)
        assert await series.query("s") == edges

    async def test_values_that_are_not_numbers_are_kept(self, series: SeriesStore) -> None:
        values = [math.inf, -math.inf, math.nan]
        await series.write([Point("s", "l", NOON + n * HOUR, v) for n, v in enumerate(values)])
        found = [p.value for p in await series.query("s")]
        assert found[:2] == values[:2]
        assert math.isnan(found[2])
        await series.write([Point("s", "l", NOON + n * HOUR, float(n)) for n in range(3)])
        assert [p.value for p in await series.query("s")] == [0.0, 1.0, 2.0], "a number takes their place"
        await series.write([Point("s", "l", NOON, math.nan)])
        assert math.isnan((await series.query("s"))[0].value), "and the other way round"

    async def test_hostile_text_is_kept_wherever_it_stands(self, series: SeriesStore) -> None:
        points = [Point(text, text, NOON, float(n), {text: text}) for n, text in enumerate(HOSTILE)]
        await series.write(points)
        for point in points:
            assert await series.query(point.series) == [point]
            assert await series.query(point.series, point.tags) == [point]
            windows = await series.downsample(point.series, HOUR, Aggregate.MAX, point.tags)
            assert windows == [point]
        assert await series.query(HOSTILE[1], {HOSTILE[3]: HOSTILE[3]}) == []

    @pytest.mark.parametrize("text", ["\0", "a\ud800", "x" * (LONGEST_TEXT + 1)])
    async def test_text_that_no_store_can_keep_is_refused(self, series: SeriesStore, text: str) -> None:
        for field, point in {
            "series": Point(text, "l", NOON, 1.0),
            "line": Point("s", text, NOON, 1.0),
            "tags": Point("s", "l", NOON, 1.0, {"tag": text}),
        }.items():
            with pytest.raises(Invalid, match=f"{field}: .*allowed"):
                await series.write([Point("s", "l", NOON, 1.0), point])
        with pytest.raises(Invalid, match=r"tags: .*allowed"):
            await series.query("s", {text: "x"})
        assert await series.query("s") == [], "nothing of it is stored"

    async def test_too_many_tags_are_refused(self, series: SeriesStore) -> None:
        tags = {f"t{n}": "x" for n in range(MOST_TAGS + 1)}
        with pytest.raises(Invalid, match=f"tags: there are {MOST_TAGS + 1} tags; at most {MOST_TAGS} are allowed"):
            await series.write([Point("s", "l", NOON, 1.0, tags)])

    async def test_an_id_of_each_point_is_no_tag(self, series: SeriesStore) -> None:
        """Each new value of a tag is another line, and a store keeps every line in memory."""
        few = [Point("s", "l", NOON, 1.0, {"tenant": "acme", "request": f"r{n}"}) for n in range(FEW_LINES)]
        await series.write(few[:-1])
        one_more = Point("s", "l", NOON, 1.0, {"tenant": "acme", "request": "one more"})
        text = f"'s' would have {FEW_LINES + 1} lines .* at most {FEW_LINES} are allowed. 'request' has {FEW_LINES + 1}"
        with pytest.raises(Invalid, match=text):
            await series.write([few[-1], one_more])
        assert len(await series.query("s")) == FEW_LINES - 1, "nothing of it is stored"
        await series.write([few[-1]])
        await series.write([*few, Point("other", "l", NOON, 1.0, {"request": "one more"})])
        with pytest.raises(Invalid, match="tags"):
            await series.write([one_more])
        await series.drop()
        await series.write([one_more])

    async def test_windows_hold_the_aggregate_of_each_line(self, series: SeriesStore) -> None:
        values = {0: 4.0, 10: 2.0, 59: 6.0, 60: 1.0, 150: -3.0}
        points = [Point("s", "auc", NOON + n * MINUTE, v, {"m": "a"}) for n, v in values.items()]
        points.append(Point("s", "auc", NOON + 30 * MINUTE, 100.0, {"m": "b"}))
        points.append(Point("s", "loss", NOON, 7.0))
        await series.write(points)
        mean, low, high, count = [
            [(p.time, p.line, p.tags, p.value) for p in await series.downsample("s", HOUR, a)] for a in Aggregate
        ]
        a, b = {"m": "a"}, {"m": "b"}
        places = [
            (NOON, "auc", a), (NOON, "auc", b), (NOON, "loss", {}), (NOON + HOUR, "auc", a), (NOON + 2 * HOUR, "auc", a)
        ]  # fmt: skip
        assert mean == [(*place, v) for place, v in zip(places, [4.0, 100.0, 7.0, 1.0, -3.0], strict=True)]
        assert low == [(*place, v) for place, v in zip(places, [2.0, 100.0, 7.0, 1.0, -3.0], strict=True)]
        assert high == [(*place, v) for place, v in zip(places, [6.0, 100.0, 7.0, 1.0, -3.0], strict=True)]
        assert count == [(*place, v) for place, v in zip(places, [3.0, 1.0, 1.0, 1.0, 1.0], strict=True)]

    async def test_windows_are_counted_from_1970_whatever_range_is_asked_for(self, series: SeriesStore) -> None:
        before = datetime(1969, 12, 31, 23, 50, tzinfo=UTC)
        await series.write([Point("s", "l", before + n * 10 * MINUTE, float(n)) for n in range(9)])
        found = await series.downsample("s", HOUR, Aggregate.COUNT)
        assert [(p.time - before, p.value) for p in found] == [
            (-50 * MINUTE, 1.0),
            (10 * MINUTE, 6.0),
            (70 * MINUTE, 2.0),
        ]
        part = {"start": before + 25 * MINUTE, "end": before + 45 * MINUTE}
        found = await series.downsample("s", HOUR, Aggregate.COUNT, **part)
        assert [(p.time - before, p.value) for p in found] == [(10 * MINUTE, 2.0)]
        assert await series.downsample("s", HOUR, Aggregate.COUNT, {"no": "tag"}) == []

    async def test_windows_leave_out_what_is_no_number(self, series: SeriesStore) -> None:
        values = [math.nan, 1.0, math.inf, 3.0, -math.inf]
        await series.write([Point("s", "l", NOON + n * MINUTE, v) for n, v in enumerate(values)])
        await series.write([Point("s", "l", NOON + HOUR, math.nan)])
        for aggregate, value in zip(Aggregate, [2.0, 1.0, 3.0, 2.0], strict=True):
            assert await series.downsample("s", HOUR, aggregate) == [Point("s", "l", NOON, value)]

    @pytest.mark.parametrize("every", [timedelta(0), -HOUR])
    async def test_a_window_without_length_is_refused(self, series: SeriesStore, every: timedelta) -> None:
        with pytest.raises(Invalid, match=r"every: a window of .* is too short"):
            await series.downsample("s", every, Aggregate.MEAN)

    async def test_windows_may_be_a_microsecond_long(self, series: SeriesStore) -> None:
        points = [Point("s", "l", NOON + timedelta(microseconds=n), float(n)) for n in range(4)]
        await series.write(points)
        assert await series.downsample("s", timedelta(microseconds=1), Aggregate.MEAN) == points

    async def test_large_batches_of_several_writers_are_all_there(self, series: SeriesStore) -> None:
        def of(writer: int) -> list[Point]:
            return [Point("s", str(writer), NOON + timedelta(microseconds=n), float(n)) for n in range(6000)]

        await asyncio.gather(*(series.write(of(writer)) for writer in range(3)))
        found = await series.query("s")
        assert len(found) == 18_000
        assert {(p.line, p.value) for p in found} == {(str(w), float(n)) for w in range(3) for n in range(6000)}

    async def test_of_two_points_of_a_batch_at_one_place_the_last_counts(self, series: SeriesStore) -> None:
        await series.write([Point("s", "l", NOON, float(n), {"a": "1"}) for n in range(5)])
        assert await series.query("s") == [Point("s", "l", NOON, 4.0, {"a": "1"})]

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
