"""Windows of event time cover every moment once, and are named as people name them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_monitoring.monitor.window import WindowUnit, window_at, window_of_label

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(9990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
UNITS = st.sampled_from(list(WindowUnit))


@given(UNITS, MOMENTS)
def test_a_window_holds_its_moment_and_the_next_begins_where_it_ends(unit: WindowUnit, moment: datetime) -> None:
    window = window_at(unit, moment)
    assert window.start <= moment < window.end
    assert window_at(unit, window.start) == window
    assert window_at(unit, window.end - timedelta(microseconds=1)) == window
    assert window.next().start == window.end


@given(UNITS, MOMENTS)
def test_a_label_names_one_window(unit: WindowUnit, moment: datetime) -> None:
    window = window_at(unit, moment)
    assert window_of_label(unit, window.label) == window
    assert window.next().label > window.label


@given(UNITS, MOMENTS, st.integers(-14, 14))
def test_the_zone_of_a_moment_does_not_matter(unit: WindowUnit, moment: datetime, hours: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(hours=hours)))
    assert window_at(unit, elsewhere) == window_at(unit, moment)


@pytest.mark.parametrize(
    ("unit", "label", "start", "end"),
    [
        (WindowUnit.MONTH, "2013-02", "2013-02-01T00", "2013-03-01T00"),
        (WindowUnit.MONTH, "2012-12", "2012-12-01T00", "2013-01-01T00"),
        (WindowUnit.WEEK, "2013-W01", "2012-12-31T00", "2013-01-07T00"),
        (WindowUnit.DAY, "2012-02-29", "2012-02-29T00", "2012-03-01T00"),
        (WindowUnit.HOUR, "2013-03-31T02", "2013-03-31T02", "2013-03-31T03"),
    ],
)
def test_labels_as_people_write_them(unit: WindowUnit, label: str, start: str, end: str) -> None:
    window = window_of_label(unit, label)
    assert window is not None
    assert (window.start.isoformat()[:13], window.end.isoformat()[:13], window.label) == (start, end, label)


@pytest.mark.parametrize("label", ["", "April", "2013", "2013-13", "2013-4", "2013-04-01", "2013-W60", "2013-04-01T25"])
@pytest.mark.parametrize("unit", [WindowUnit.MONTH, WindowUnit.WEEK, WindowUnit.HOUR])
def test_other_texts_name_no_window(unit: WindowUnit, label: str) -> None:
    assert window_of_label(unit, label) is None
