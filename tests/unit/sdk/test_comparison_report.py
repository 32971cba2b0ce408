"""The report of a comparison: whole, without a network, and safe whatever things are called."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from modelog.comparison import (
    ComparedColumn,
    ComparedMetric,
    ComparedValue,
    Comparison,
    MetricDifference,
    MetricSummary,
)
from modelog.errors import ModelogError
from modelog.report import coordinates, intervals, sentences, write_report

HOSTILE = "</script><script>alert(1)</script>"


def compared(columns: int = 2, name: str = "deep") -> Comparison:
    """Columns whose metric rises, each tested against the first."""
    names = ["shallow", *(f"{name} {n}" for n in range(1, columns))]
    tested = [
        MetricDifference(
            column=n,
            estimate=0.05 * n,
            low=0.03 * n,
            high=0.07 * n,
            p_value=0.01,
            corrected_p=0.02,
            method="Welch's t",
            effect=2.0 * n,
            effect_low=1.0 * n,
            effect_high=3.5 * n,
            sentence=f"auc of {names[n]} is higher",
        )
        for n in range(1, columns)
    ]
    means = [MetricSummary(column=n, runs=4, mean=0.7 + 0.05 * n, sd=0.01) for n in range(columns)]
    return Comparison(
        columns=[ComparedColumn(column=n, name=each, size_bytes=1234.0) for n, each in enumerate(names)],
        metrics=[ComparedMetric(name="auc", columns=means, differences=tested)],
        parameters=[
            ComparedValue(name="depth", values=[str(3 + n) for n in range(columns)], differs=True),
            ComparedValue(name="booster", values=["gbtree"] * columns),
            ComparedValue(name="note", values=[name] * columns, differs=True),
        ],
    )


class Cells(HTMLParser):
    """The text of every cell, and every address that the page would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.addresses: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag in ("td", "th", "li")
        if self._inside:
            self.cells.append("")
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


def test_a_report_holds_everything_and_asks_for_nothing(tmp_path: Path) -> None:
    page = write_report(compared(3), tmp_path / "r.html", "shallow against deep").read_text()
    read = Cells()
    read.feed(page)
    assert read.addresses == []
    assert "plotly.js v" in page
    assert page.count("Plotly.newPlot(") >= 2
    for cell in ("0.75 ± 0.01", "+0.05 (0.03 to 0.07), corrected p 0.02", "auc of deep 2 is higher", "gbtree", "1,234"):
        assert cell in read.cells
    # What differs stands first.
    assert read.cells.index("note") < read.cells.index("booster")


def test_names_are_text_and_not_markup(tmp_path: Path) -> None:
    page = write_report(compared(3, name=HOSTILE), tmp_path / "r.html", HOSTILE).read_text()
    assert not re.search(r"<script>\s*alert", page)
    read = Cells()
    read.feed(page)
    assert f"{HOSTILE} 1" in read.cells


def test_intervals_are_those_of_the_effects() -> None:
    figure = intervals(compared(3))
    assert figure is not None
    (trace,) = figure["data"]
    assert trace["x"] == [2.0, 4.0]
    assert trace["y"] == ["auc: deep 1", "auc: deep 2"]
    assert trace["error_x"]["array"] == [1.5, 3.0]
    assert trace["error_x"]["arrayminus"] == [1.0, 2.0]
    untested = Comparison(metrics=[ComparedMetric(name="auc", differences=[MetricDifference(sentence="not tested")])])
    assert intervals(untested) is None
    assert sentences(untested) == ["not tested"]


def test_three_columns_have_parallel_coordinates_of_what_is_a_number() -> None:
    assert coordinates(compared(2)) is None
    figure = coordinates(compared(3))
    assert figure is not None
    assert [d["label"] for d in figure["data"][0]["dimensions"]] == ["", "depth", "auc"]
    assert figure["data"][0]["dimensions"][1]["values"] == [3.0, 4.0, 5.0]
    nothing = compared(3)
    nothing.parameters, nothing.metrics = [], []
    assert coordinates(nothing) is None


def test_without_plotly_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ModelogError, match=r'the report needs plotly: pip install "modelog\[report\]"'):
        write_report(compared(), tmp_path / "r.html")


def test_the_client_does_not_load_what_draws() -> None:
    told = "import sys, modelog.cli.main; print('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout == "False\n"
