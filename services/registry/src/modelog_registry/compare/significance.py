"""Tests of the differences between repeated runs, corrected for their number.

Import it only to test: scipy.stats takes longer to import than all the rest of the registry, and memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from modelog_proto.registry.v1 import compare_pb2 as pb
from modelog_stats.checks import BadInput
from modelog_stats.corrections import holm
from modelog_stats.effects import Effect, hedges_g
from modelog_stats.result import Result
from modelog_stats.runs import Design, compare_runs

from modelog_registry.compare.sides import Side
from modelog_registry.compare.table import ENOUGH

DESIGNS: dict[int, Design] = {
    pb.RUN_DESIGN_UNSPECIFIED: "independent",
    pb.RUN_DESIGN_INDEPENDENT: "independent",
    pb.RUN_DESIGN_PAIRED: "paired",
    pb.RUN_DESIGN_RESAMPLED: "resampled",
}


def add_tests(answer: pb.ComparisonReport, sides: Sequence[Side], request: pb.CompareRunsRequest) -> None:
    """Fill in the test of every difference for which there are enough runs."""
    tested = []
    for metric in answer.metrics:
        for difference in metric.differences:
            first, other = sides[0], sides[difference.column]
            a, b = values_of(metric.name, first, other, DESIGNS[request.design])
            if min(len(a), len(b)) < ENOUGH:
                continue
            try:
                found = _test(metric.name, a, b, request)
            except BadInput as error:
                difference.sentence = f"not tested: {error}"
                continue
            _tell(difference, dataclasses.replace(found, a=first.name, b=other.name))
            _tell_effect(difference, hedges_g(a, b, paired=DESIGNS[request.design] != "independent"))
            tested.append(difference)
    for difference, corrected in zip(tested, holm([d.p_value for d in tested]), strict=True):
        difference.corrected_p = corrected


def values_of(metric: str, first: Side, other: Side, design: Design) -> tuple[list[float], list[float]]:
    """What is compared: where runs belong together, those of pairs that both have the metric."""
    if design == "independent":
        return first.present(metric), other.present(metric)
    pairs = zip(first.values(metric), other.values(metric), strict=True)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    return [a for a, _ in both], [b for _, b in both]


def _test(metric: str, a: Sequence[float], b: Sequence[float], request: pb.CompareRunsRequest) -> Result:
    share = request.test_share if request.design == pb.RUN_DESIGN_RESAMPLED else None
    return compare_runs(a, b, design=DESIGNS[request.design], ranks=request.ranks, test_share=share, what=metric)


def _tell(difference: pb.MetricDifference, found: Result) -> None:
    difference.estimate, difference.p_value, difference.method = found.estimate, found.p_value, found.method
    difference.sentence = found.sentence
    if math.isfinite(found.low):
        difference.low, difference.high = found.low, found.high


def _tell_effect(difference: pb.MetricDifference, effect: Effect) -> None:
    difference.effect, difference.effect_low, difference.effect_high = effect.value, effect.low, effect.high
