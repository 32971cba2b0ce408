"""The report of a replay: slices of a feature, digests of outputs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog.replay import CATEGORIES, Replayed, slices
from modelog.types.serving import ReplayPage

VALUES = st.lists(st.floats(allow_nan=True, width=32), max_size=60)


@given(VALUES)
def test_every_row_is_in_one_slice(values: list[float]) -> None:
    rows = sorted(row for _, rows in slices("x", values) for row in rows)
    assert rows == list(range(len(values)))


def test_few_values_are_categories_and_many_are_tenths() -> None:
    assert [name for name, _ in slices("hour", [9.0, 8.0, 9.0, math.nan])] == ["hour = 8", "hour = 9", "hour missing"]
    tenths = slices("x", [float(n) for n in range(100)])
    assert [len(rows) for _, rows in tenths] == [10] * 10
    assert [tenths[0][0], tenths[9][0]] == ["x from 0 to below 10", "x from 90"]
    assert len(slices("x", [float(n) for n in range(CATEGORIES)])) == CATEGORIES


def test_differences_and_digests() -> None:
    same = Replayed("d", "", "")
    same.add(ReplayPage(prediction_ids=["1", "2"], versions=["a", "b"], logged=[0.5, "NaN"], replayed=[0.5, "NaN"]))
    assert same.report().identical
    assert same.report().versions == {"a": 1, "b": 1}
    other = Replayed("d", "2.0.0", "", tolerance=0.1)
    for logged, replayed in ((0.5, 0.75), (0.5, 0.5), (0.5, 0.55)):
        other.add(ReplayPage(prediction_ids=["1"], versions=["a"], logged=[logged], replayed=[replayed]))
    whole = other.report().whole
    assert (whole.count, whole.largest, whole.changed) == (3, 0.25, pytest.approx(1 / 3))
    assert whole.mean_absolute == pytest.approx(0.1)
    assert not other.report().identical


def test_nothing_replayed_is_a_report_too() -> None:
    nothing = Replayed("d", "", "x").report()
    assert (nothing.whole.count, nothing.slices, nothing.identical) == (0, (), True)
    assert nothing.to_dict()["identical"] is True


def test_outputs_of_several_numbers_are_one_distance() -> None:
    wide = Replayed("d", "", "")
    wide.add(ReplayPage(prediction_ids=["1"], versions=["a"], logged=[0.0, 1.0], replayed=[1.0, 1.0]))
    assert wide.report().whole.mean_absolute == 0.5
