"""The last point of every metric of batches, which is what the log and the tables know of a curve."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.clock import milliseconds
from modelog_common.stores.curves import Batch, Curve, block_of, curve_of
from modelog_registry.handle.latest import latest_of

FEW = st.integers(0, 2)
POINTS = st.lists(st.tuples(FEW, FEW, st.integers(0, 9).map(float)), min_size=1, max_size=3)
WIDE = st.lists(st.tuples(FEW, FEW, st.integers(0, 9).map(float)), min_size=1, max_size=1)


def batch(number: int, curves: dict[str, list[tuple[int, int, float]]]) -> Batch:
    made: list[Curve] = [
        curve_of(name, [p[0] for p in points], [p[1] for p in points], [p[2] for p in points])
        for name, points in curves.items()
    ]
    return Batch("run", number, "t", "alice", block_of(made))


def looked_at_one_by_one(batches: Sequence[Batch]) -> dict[str, tuple[int, int, float]]:
    latest: dict[str, tuple[int, int, float]] = {}
    for one in batches:
        for curve in one.block.curves:
            for step, time_ms, value in zip(curve.steps, curve.times_ms, curve.values, strict=True):
                if curve.name not in latest or (step, time_ms) >= latest[curve.name][:2]:
                    latest[curve.name] = (step, time_ms, value)
    return latest


@given(st.lists(st.dictionaries(st.sampled_from("abc"), POINTS | WIDE, min_size=1), min_size=1, max_size=4))
def test_the_latest_point_is_that_of_the_highest_step_then_time_then_place(
    given: list[dict[str, list[tuple[int, int, float]]]],
) -> None:
    batches = [batch(n, curves) for n, curves in enumerate(given, start=1)]
    found = {p.name: (p.step, milliseconds(p.at), float(p.value)) for p in latest_of(batches)}
    assert found == looked_at_one_by_one(batches)
