"""The SQLite file passes the suite of series and keeps its points."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.stores.series import Point, SeriesStore
from modelog_common.stores.series.sqlite import SqliteSeriesStore
from series_suite import FEW_LINES, SeriesStoreSuite

POINT = Point("s", "l", datetime(2026, 1, 1, tzinfo=UTC), 1.5)


class TestSqliteSeriesStore(SeriesStoreSuite):
    @pytest.fixture
    async def series(self, tmp_path: Path) -> AsyncIterator[SeriesStore]:  # type: ignore[override]
        series = SqliteSeriesStore(tmp_path / "series.db", most_lines=FEW_LINES)
        yield series
        await series.close()


async def test_points_outlive_the_process(tmp_path: Path) -> None:
    first = SqliteSeriesStore(tmp_path / "new" / "series.db")
    await first.write([POINT])
    await first.close()
    second = SqliteSeriesStore(tmp_path / "new" / "series.db")
    assert await second.query("s") == [POINT]
    await second.close()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "series.db").write_bytes(b"not a database" * 100)
    series = SqliteSeriesStore(tmp_path / "series.db")
    with pytest.raises(Unavailable, match=r"series store .*series\.db cannot be used: file is not a database"):
        await series.write([POINT])
    (tmp_path / "series.db").unlink()
    await series.write([POINT])
    assert await series.query("s") == [POINT]
    await series.close()


async def test_lines_of_an_earlier_process_count(tmp_path: Path) -> None:
    first = SqliteSeriesStore(tmp_path / "series.db", most_lines=1)
    await first.write([POINT])
    await first.close()
    second = SqliteSeriesStore(tmp_path / "series.db", most_lines=1)
    with pytest.raises(Invalid, match="at most 1 are allowed"):
        await second.write([Point("s", "other", POINT.time, 1.0)])
    await second.write([Point("s", "l", POINT.time, 2.0)])
    await second.close()
