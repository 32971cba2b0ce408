"""When two runs agree, and when a run cannot be reproduced at all."""

from __future__ import annotations

import math

import modelog
import pytest
from modelog.reproduction.agreement import agree, compared
from modelog.reproduction.building import requirement
from modelog.reproduction.missing import missing_of
from modelog.reproduction.reproduce import differences
from modelog.types import Environment, Run

INFINITY = math.inf


@pytest.mark.parametrize(
    ("before", "after", "absolute", "relative", "agrees"),
    [
        (0.7, 0.7, 0, 0, True),
        (0.7, 0.7000001, 0, 1e-9, False),
        (0.7, 0.7000001, 0, 1e-6, True),
        (-100.0, -101.0, 0, 0.01, True),
        (-100.0, -101.1, 0, 0.01, False),
        (0.0, 0.001, 0, 1, False),
        (0.0, 0.001, 0.001, 0, True),
        (math.nan, math.nan, 0, 0, True),
        (math.nan, 0.1, 1e9, 1, False),
        (0.1, math.nan, 1e9, 1, False),
        (INFINITY, INFINITY, 0, 0, True),
        (INFINITY, -INFINITY, 1e9, 1, False),
        (1.0, INFINITY, 1e9, 1, False),
    ],
)
def test_agreement(before: float, after: float, absolute: float, relative: float, agrees: bool) -> None:
    assert agree(before, after, absolute, relative) is agrees


def test_every_metric_but_the_systems_is_compared() -> None:
    found = compared({"loss": 0.5, "auc": 0.7, "system/cpu_utilization_percentage": 3}, {"auc": 0.7, "other": 1})
    assert [(a.metric, a.again, a.difference, a.agrees) for a in found] == [
        ("auc", 0.7, 0.0, True),
        ("loss", None, None, False),
    ]
    assert [a.metric for a in compared({"loss": 0.5, "auc": 0.7}, {}, only=["loss"])] == ["loss"]
    with pytest.raises(modelog.Invalid, match="no metric 'f1'; it has auc, loss"):
        compared({"loss": 0.5, "auc": 0.7}, {}, only=["f1"])


WHOLE = {"python": "3.11.9", "packages": {"a": "1"}, "entry_point": "train.py", "git_commit": "c0ffee"}


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({}, []),
        ({"git_dirty": True, "git_diff": "a" * 64}, []),
        ({"entry_point": "-m pack:age"}, []),
        ({"git_dirty": True}, ["what differed was not recorded"]),
        ({"git_commit": ""}, ["no Git commit"]),
        ({"entry_point": ""}, ["no entry point"]),
        ({"entry_point": "train:main"}, ["submit the job again"]),
        ({"python": "", "packages": {}}, ["no Python version", "no packages"]),
    ],
)
def test_what_was_not_recorded_is_told(changed: dict[str, object], missing: list[str]) -> None:
    environment = Environment(**{**WHOLE, **changed})  # type: ignore[arg-type]
    found = missing_of(Run(metrics={"auc": 0.7}, environment=environment))
    assert len(found) == len(missing)
    assert all(part in told for part, told in zip(missing, found, strict=True))


def test_a_run_without_environment_or_metrics_cannot_be_reproduced() -> None:
    assert "recorded no environment" in missing_of(Run())[0]
    no_metrics = Run(metrics={"system/disk_usage_percentage": 1}, environment=Environment(**WHOLE))  # type: ignore[arg-type]
    assert missing_of(no_metrics) == ["it recorded no metrics to compare"]


def test_a_package_is_required_from_where_it_was() -> None:
    assert requirement("numpy", "2.4.0") == "numpy==2.4.0"
    assert requirement("mine", "1.0 @ git+https://x/y@c0ffee") == "mine @ git+https://x/y@c0ffee"


def test_what_of_the_machine_is_not_as_it_was_is_told() -> None:
    was = {"cores": "4", "gpu_0": "NVIDIA L4", "gpu_driver": "570.1"}
    assert differences(was, was) == []
    assert differences(was, {"cores": "4", "gpu_0": "NVIDIA L4", "gpu_driver": "580.2"}) == [
        "gpu_driver is 580.2, and was 570.1"
    ]
    assert differences(was, {"cores": "4"}) == [
        "gpu_0 is not there, and was NVIDIA L4",
        "gpu_driver is not there, and was 570.1",
    ]
    now = {
        "cores": "4",
        "gpu_0": "NVIDIA H100 MIG",
        "gpu_0_mig_1": "MIG 1g.10gb",
        "gpu_driver": "580.2",
        "cuda": "13.0",
    }
    assert differences({"cores": "4"}, now) == [
        "gpu_0 is NVIDIA H100 MIG, and there was none",
        "gpu_0_mig_1 is MIG 1g.10gb, and there was none",
    ], "of older recordings, which lack the driver, it alone makes no note"
