"""What each expectation lets pass, what it does not, and in which words."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from modelog_training.work.assignment import AssignedDataset, Expectation
from modelog_training.work.checks import check_dataset

TWO_MISSING = "2 of 5 values are missing (40.00%)"
FRAME = pl.DataFrame(
    {
        "delay": [1.0, 2.0, None, 100.0, math.nan],
        "carrier": ["UA", "AA", "XX", "YY", None],
        "hour": [1, 2, 3, 4, 4],
        "late": [True, False, None, True, True],
        "at": [datetime(2013, 1, n) for n in range(1, 6)],  # noqa: DTZ001 - a column without a zone
    }
)


def check(folder: Path, kind: str, column: str = "", frame: pl.DataFrame = FRAME, **more: Any) -> tuple[bool, str]:
    file = folder / "data.parquet"
    frame.write_parquet(file)
    expectation = Expectation(kind, column, **more)
    (result,) = check_dataset(AssignedDataset("flights", 3, "d" * 64, (expectation,)), file)
    assert (result.dataset, result.version, result.column, result.kind) == ("flights", 3, column, kind)
    return result.passed, result.detail


@pytest.mark.parametrize(
    ("kind", "column", "more", "passed", "detail"),
    [
        ("not_null", "hour", {}, True, "0 of 5 values are missing; expected none"),
        ("not_null", "delay", {}, False, "2 of 5 values are missing; expected none"),
        ("not_null", "carrier", {}, False, "1 of 5 values are missing; expected none"),
        (
            "max_null_share",
            "delay",
            {"maximum": 0.4},
            True,
            "2 of 5 values are missing (40.00%); expected at most 40.00%",
        ),
        (
            "max_null_share",
            "delay",
            {"maximum": 0.3},
            False,
            "2 of 5 values are missing (40.00%); expected at most 30.00%",
        ),
        ("unique", "carrier", {}, True, "0 of 4 values are repeats; expected none"),
        ("unique", "hour", {}, False, "1 of 5 values are repeats; expected none"),
        (
            "between",
            "delay",
            {"minimum": 0, "maximum": 10},
            False,
            "1 of 5 values are outside: the values are 1 to 100; expected 0 to 10",
        ),
        (
            "between",
            "hour",
            {"minimum": 2},
            False,
            "1 of 5 values are outside: the values are 1 to 4; expected at least 2",
        ),
        (
            "between",
            "hour",
            {"maximum": 4},
            True,
            "0 of 5 values are outside: the values are 1 to 4; expected at most 4",
        ),
        (
            "between",
            "late",
            {"maximum": 1},
            True,
            "0 of 5 values are outside: the values are 0 to 1; expected at most 1",
        ),
        (
            "between",
            "carrier",
            {"maximum": 1},
            False,
            "holds String, which has no order among numbers; between needs a column of numbers",
        ),
        ("in_set", "carrier", {"values": ("UA", "AA", "XX", "YY")}, True, "all of 5 values are among the 4 expected"),
        (
            "in_set",
            "carrier",
            {"values": ("UA", "AA")},
            False,
            "2 of 5 values are not among those expected, such as 'XX', 'YY'",
        ),
        ("in_set", "hour", {"values": ("1", "2", "3.0", "4")}, True, "all of 5 values are among the 4 expected"),
        ("in_set", "hour", {"values": ("1", "2")}, False, "3 of 5 values are not among those expected, such as 3, 4"),
        (
            "in_set",
            "hour",
            {"values": ("1", "one")},
            False,
            "holds Int64, and 'one' among the expected values is no number",
        ),
        ("in_set", "late", {"values": ("true",)}, False, "1 of 5 values are not among those expected, such as 'false'"),
        ("row_count", "", {"minimum": 5, "maximum": 5}, True, "5 rows; expected 5 to 5"),
        ("row_count", "", {"minimum": 6}, False, "5 rows; expected at least 6"),
        ("row_count", "", {"maximum": 4}, False, "5 rows; expected at most 4"),
        (
            "not_null",
            "gate",
            {},
            False,
            "there is no column 'gate'; the file has delay, carrier, hour, late, at",
        ),
        (
            "is_nice",
            "hour",
            {},
            False,
            "the kind 'is_nice' is not known; there are row_count, not_null, max_null_share, unique, between, in_set",
        ),
    ],
)
def test_an_expectation(
    tmp_path: Path, kind: str, column: str, more: dict[str, Any], passed: bool, detail: str
) -> None:
    assert check(tmp_path, kind, column, **more) == (passed, detail)


def test_a_table_without_rows_breaks_nothing_but_row_count(tmp_path: Path) -> None:
    empty = FRAME.clear()
    assert check(tmp_path, "not_null", "hour", empty)[0]
    assert check(tmp_path, "max_null_share", "hour", empty, maximum=0.0)[0]
    assert check(tmp_path, "between", "hour", empty, minimum=0) == (True, "there are no values; expected at least 0")
    assert check(tmp_path, "in_set", "carrier", empty, values=("UA",))[0]
    assert not check(tmp_path, "row_count", "", empty, minimum=1)[0]


def test_many_expectations_are_answered_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    FRAME.write_parquet(file)
    wanted = (Expectation("unique", "hour"), Expectation("not_null", "nothing"), Expectation("not_null", "hour"))
    results = check_dataset(AssignedDataset("flights", 1, "d" * 64, wanted), file)
    assert [(r.kind, r.passed) for r in results] == [("unique", False), ("not_null", False), ("not_null", True)]


def test_a_file_that_is_no_parquet_file_raises(tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    file.write_text("no")
    with pytest.raises(pl.exceptions.PolarsError):
        check_dataset(AssignedDataset("flights", 1, "d" * 64, (Expectation("row_count", minimum=1),)), file)
