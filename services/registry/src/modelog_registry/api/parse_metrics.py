"""From messages that hold points of metrics to blocks; what cannot be one is refused by the field's name."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import cast

from modelog_common.domain.errors import Invalid
from modelog_common.stores.curves import Block, block_of, curve_of, unpacked
from modelog_proto.registry.v1 import experiment_pb2 as pb

MOST_POINTS = 10_000
# 0001-01-01 to 9999-12-31.
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
WRONG_TIME = "has a time outside the years 1 to 9999, in milliseconds"


def request_ids(request: pb.LogMetricsOfRunsRequest) -> list[str]:
    """One for each run; raises Invalid where there is none: without it, it could not be sent again alone."""
    found = []
    for n, run in enumerate(request.runs):
        if not run.request_id and not request.request_id:
            raise Invalid.field(f"runs[{n}].request_id", "is missing; give each run one, or the request")
        found.append(run.request_id or f"{request.request_id}.{n}")
    return found


def block(request: pb.LogMetricsRequest) -> Block:
    """The points of a request, in the order in which they stand there."""
    if request.HasField("block"):
        if request.columns:
            raise Invalid.field("columns", "stand beside block; give one of the two")
        found = _packed(request.block)
    else:
        found = _of_columns(request)
    if len(found.values) > MOST_POINTS:
        name = "block" if request.HasField("block") else "columns"
        raise Invalid.field(name, f"have {len(found.values)} points; allowed: {MOST_POINTS}")
    return found


def _of_columns(request: pb.LogMetricsRequest) -> Block:
    if not request.columns:
        raise Invalid.field("columns", "is missing; at least one item is needed, or block")
    for n, column in enumerate(request.columns):
        steps, times, values = len(column.steps), len(column.times_ms), len(column.values)
        if not steps == times == values:
            raise Invalid.field(
                f"columns[{n}]", f"has {steps} steps, {times} times_ms, {values} values; give as many of each"
            )
        if not values:
            raise Invalid.field(f"columns[{n}].values", "has no items; give at least one point")
        if not _are_times(column.times_ms):
            raise Invalid.field(f"columns[{n}].times_ms", WRONG_TIME)
    return block_of([curve_of(c.name, c.steps, c.times_ms, c.values) for c in request.columns])


def _packed(given: pb.MetricBlock) -> Block:
    names, counts = tuple(given.names), tuple(given.counts)
    points = sum(counts)
    if len(names) != len(counts):
        raise Invalid.field("block.counts", f"has {len(counts)} items for {len(names)} names; give as many")
    if "" in names:
        raise Invalid.field(f"block.names[{names.index('')}]", "is empty; a metric has a name")
    if 0 in counts:
        raise Invalid.field(f"block.counts[{counts.index(0)}]", "is 0; give at least one point")
    for name, column in (("steps", given.steps), ("times_ms", given.times_ms), ("values", given.values)):
        if len(column) != 8 * points:
            raise Invalid.field(f"block.{name}", f"has {len(column)} bytes for {points} points; each takes 8")
    times = unpacked("q", given.times_ms)
    if not _are_times(times):
        raise Invalid.field("block.times_ms", WRONG_TIME)
    values = cast("array[float]", unpacked("d", given.values))
    return Block(names, counts, unpacked("q", given.steps), times, values)


def _are_times(times_ms: Iterable[int]) -> bool:
    return min(times_ms) >= FIRST_MS and max(times_ms) <= LAST_MS
