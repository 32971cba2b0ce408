"""What a comparison of runs or of model versions answers with."""

from __future__ import annotations

from typing import List, Optional, Sequence, Union

from modelog.types import Record

# One run, or the repeated runs of one thing.
Runs = Union[str, Sequence[str]]


class ComparedColumn(Record):
    """A run, repeated runs of one thing, or a model version."""

    column: int = 0
    name: str = ""
    run_ids: List[str] = []
    size_bytes: float = 0.0
    duration_s: Optional[float] = None


class MetricSummary(Record):
    """A metric's last values in one column; no mean where no run has it, no standard deviation of fewer than two."""

    column: int = 0
    runs: int = 0
    mean: Optional[float] = None
    sd: Optional[float] = None


class MetricDifference(Record):
    """A column's metric less that of the first column; `sentence` is the test's result, or why there is none."""

    column: int = 0
    estimate: float = 0.0
    low: Optional[float] = None
    high: Optional[float] = None
    p_value: Optional[float] = None
    corrected_p: Optional[float] = None
    method: str = ""
    effect: Optional[float] = None
    effect_low: Optional[float] = None
    effect_high: Optional[float] = None
    sentence: str = ""


class ComparedMetric(Record):
    name: str = ""
    columns: List[MetricSummary] = []
    differences: List[MetricDifference] = []


class ComparedValue(Record):
    """One value for each column, "" for none."""

    name: str = ""
    values: List[str] = []
    differs: bool = False


class Comparison(Record):
    columns: List[ComparedColumn] = []
    metrics: List[ComparedMetric] = []
    parameters: List[ComparedValue] = []
    datasets: List[ComparedValue] = []
    environment: List[ComparedValue] = []


def joined(runs: Runs) -> str:
    """As the contract has it: ids of repeated runs are joined by commas."""
    return runs if isinstance(runs, str) else ",".join(runs)
