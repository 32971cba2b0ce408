"""From columns to the comparison that the contract answers with, without tests."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelog_proto.registry.v1 import compare_pb2 as pb

from modelog_registry.compare.sides import PACKAGE, Member, Side

# Fewer repeated runs tell too little of how much they vary.
ENOUGH = 3


def comparison(sides: Sequence[Side]) -> pb.ComparisonReport:
    """Everything that the columns hold; differences of metrics are those of means, without a test."""
    metrics = sorted({name for side in sides for member in side.members for name in member.metrics})
    environment = _values(sides, lambda member: member.environment)
    return pb.ComparisonReport(
        columns=[_column(number, side) for number, side in enumerate(sides)],
        metrics=[_metric(name, sides) for name in metrics],
        parameters=_values(sides, lambda member: member.parameters),
        datasets=_values(sides, lambda member: member.datasets),
        environment=[value for value in environment if value.differs or not value.name.startswith(PACKAGE)],
    )


def _column(number: int, side: Side) -> pb.ComparedColumn:
    durations = [member.duration_s for member in side.members]
    known = [duration for duration in durations if duration is not None]
    return pb.ComparedColumn(
        column=number,
        name=side.name,
        run_ids=side.run_ids,
        size_bytes=statistics.fmean(member.size_bytes for member in side.members),
        duration_s=statistics.fmean(known) if len(known) == len(durations) else None,
    )


def _metric(name: str, sides: Sequence[Side]) -> pb.ComparedMetric:
    return pb.ComparedMetric(
        name=name,
        columns=[_summary(number, side.present(name)) for number, side in enumerate(sides)],
        differences=[
            _difference(number, sides[0].present(name), side.present(name))
            for number, side in enumerate(sides)
            if number and side.present(name) and sides[0].present(name)
        ],
    )


def _summary(number: int, values: Sequence[float]) -> pb.MetricSummary:
    return pb.MetricSummary(
        column=number,
        runs=len(values),
        mean=_mean(values) if values else None,
        sd=_sd(values) if len(values) > 1 else None,
    )


def _difference(number: int, first: Sequence[float], other: Sequence[float]) -> pb.MetricDifference:
    return pb.MetricDifference(
        column=number,
        estimate=_mean(other) - _mean(first),
        sentence=f"not tested: {ENOUGH} repeated runs or more are needed on each side; "
        f"there are {len(first)} and {len(other)}",
    )


def _mean(values: Sequence[float]) -> float:
    """Of infinities too, and NaN where there is one."""
    return sum(values) / len(values)


def _sd(values: Sequence[float]) -> float:
    mean = _mean(values)
    return float((sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5)


def _values(sides: Sequence[Side], of: Callable[[Member], Mapping[str, Any]]) -> list[pb.ComparedValue]:
    """Every name that any member has, with what each column has of it."""
    names = sorted({name for side in sides for member in side.members for name in of(member)})
    found = []
    for name in names:
        columns = [side.distinct(of, name) for side in sides]
        # As JSON, so that 6 and "6" differ, and True and 1.
        told = {json.dumps(values, sort_keys=True) for values in columns}
        found.append(
            pb.ComparedValue(
                name=name, values=[" | ".join(map(_text, values)) for values in columns], differs=len(told) > 1
            )
        )
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
