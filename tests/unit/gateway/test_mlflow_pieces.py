"""The small parts of MLflow's API that need no server: paths, lists of files, pages, columns, curves."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import pytest
from modelog_common.domain.errors import Invalid, NotFound
from modelog_gateway.mlflow.adding import Point, block_of
from modelog_gateway.mlflow.folders import Folder, Kind, checked, folder_of, listed
from modelog_gateway.mlflow.history import evenly, points_json
from modelog_gateway.mlflow.pages import gathered
from modelog_gateway.mlflow.values import Pair, mapped, number, parameter_texts, timestamp
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1.experiment_pb2 import LogRunRequest, MetricColumn
from modelog_proto.registry.v1.model_pb2 import Artifact


@pytest.mark.parametrize(
    ("path", "folder", "inside"),
    [
        ("0/r1/artifacts/a.txt", Folder("r1", Kind.RUN), "a.txt"),
        ("0/r1/artifacts/deep/er/名.txt", Folder("r1", Kind.RUN), "deep/er/名.txt"),
        ("0/r1/artifacts", Folder("r1", Kind.RUN), ""),
        ("/0/r1/artifacts/", Folder("r1", Kind.RUN), ""),
        ("e/models/m1/artifacts/MLmodel", Folder("m1", Kind.MODEL), "MLmodel"),
        ("e", Folder("e", Kind.EXPERIMENT), ""),
        ("e/r1", Folder("e", Kind.EXPERIMENT), "r1"),
        ("e/r1/other/a.txt", Folder("e", Kind.EXPERIMENT), "r1/other/a.txt"),
        ("e/models/m1/a.txt", Folder("e", Kind.EXPERIMENT), "models/m1/a.txt"),
    ],
)
def test_whose_folder_a_path_names(path: str, folder: Folder, inside: str) -> None:
    assert folder_of(path) == (folder, inside)


def test_above_the_experiments_there_are_no_files() -> None:
    with pytest.raises(NotFound, match="<experiment>/<run>/artifacts/"):
        folder_of("")


@pytest.mark.parametrize(
    "path",
    [
        "0/r1/artifacts/../../other",
        "..",
        "./a",
        "a/../b",
        "a//b",
        "a\\b",
        "C:\\windows",
        "a/\x00b",
        "a\nb",
        "0/r1/artifacts/..",
        "x" * 1001,
    ],
)
def test_paths_that_try_to_leave_are_refused(path: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked(path, "path")
    assert caught.value.violations[0].field == "path"


def test_a_list_shows_what_is_directly_in_a_folder() -> None:
    files = [Artifact(path=path, size_bytes=n) for n, path in enumerate(("b", "a/x", "a/y/z", "ab"))]
    assert listed(files, "") == [
        {"path": "a", "is_dir": True},
        {"path": "ab", "is_dir": False, "file_size": 3},
        {"path": "b", "is_dir": False, "file_size": 0},
    ]
    assert listed(files, "a") == [{"path": "x", "is_dir": False, "file_size": 1}, {"path": "y", "is_dir": True}]
    assert listed(files, "b") == []


async def test_a_long_list_is_gathered_from_pages_of_ours() -> None:
    asked: list[int] = []

    async def page_of(page: Page) -> tuple[Sequence[int], str]:
        asked.append(page.size)
        start = int(page.token or 0)
        items = range(start, min(start + page.size, 3500))
        return items, str(start + page.size) if start + page.size < 3500 else ""

    assert await gathered(page_of, 2500, "") == (list(range(2500)), "2500")
    assert asked == [1000, 1000, 500]
    assert await gathered(page_of, 50_000, "2500") == (list(range(2500, 3500)), "")


@pytest.mark.parametrize("most", [0, -1, 50_001])
async def test_no_list_is_longer_than_mlflows_longest(most: int) -> None:
    async def page_of(page: Page) -> tuple[Sequence[int], str]:
        return [], ""

    with pytest.raises(Invalid, match="max_results"):
        await gathered(page_of, most, "")


def test_the_points_of_each_metric_stand_together_in_a_block() -> None:
    points = [Point("a", 0.5, 7, 1), Point("b", 2.0, 8), Point("a", math.inf, 9, -2)]
    block = block_of(points)
    assert (list(block.names), list(block.counts)) == (["a", "b"], [2, 1])
    assert block.steps == struct.pack("<3q", 1, -2, 0)
    assert block.times_ms == struct.pack("<3q", 7, 9, 8)
    assert block.values == struct.pack("<3d", 0.5, math.inf, 2.0)


def test_an_even_choice_of_points() -> None:
    points = [{"step": n} for n in range(100)]
    assert [p["step"] for p in evenly(points, 4)] == [0, 33, 66, 99]
    assert evenly(points, 100) is points
    assert evenly(points, 1) == [{"step": 99}]


def test_a_point_that_was_sent_twice_is_one() -> None:
    column = MetricColumn(steps=[1, 1, 1, 2], times_ms=[5, 5, 5, 5], values=[math.nan, math.nan, 0.5, 0.5])
    assert [(p["step"], p["value"]) for p in points_json("m", column)] == [(1, "NaN"), (1, 0.5), (2, 0.5)]


def test_numbers_that_json_lacks_become_texts() -> None:
    assert [number(v) for v in (1.5, math.nan, math.inf, -math.inf)] == [1.5, "NaN", "Infinity", "-Infinity"]


def test_parameters_are_texts() -> None:
    request = LogRunRequest()
    request.parameters.update({"t": "x", "i": 5, "f": 0.5, "b": True, "l": [1, "a"], "n": None, "o": {"k": 1}})
    assert parameter_texts(request.parameters) == {
        "t": "x",
        "i": "5",
        "f": "0.5",
        "b": "true",
        "l": '[1, "a"]',
        "n": "null",
        "o": '{"k": 1}',
    }


def test_a_key_with_two_values_is_refused() -> None:
    assert mapped([Pair("a", "1"), Pair("a", "1")], "params") == {"a": "1"}
    with pytest.raises(Invalid, match="'a' is given twice, as '1' and '2'"):
        mapped([Pair("a", "1"), Pair("a", "2")], "params")


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid, match="no time between"):
        timestamp(10**18)
