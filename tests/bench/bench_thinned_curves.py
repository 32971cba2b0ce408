"""A curve of 10,000,000 points as a page gets it: thinned beside its store, whole and in part, against reading it all.

Run: python tests/bench/bench_thinned_curves.py [POINTS]        (a first number to try it small: 100000)
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from figures import machine, median, print_table, ratio
from modelog_common.stores.curves import block_of, curve_of
from modelog_common.stores.curves.sqlite import SqliteCurveStore
from modelog_common.stores.curves.thinning import Span

POINTS, BATCH = 10_000_000, 10_000
SIZE, ROUNDS = 2_000, 5
EVERYTHING = 10**9


async def main(points: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteCurveStore(Path(folder) / "curves.db")
        for first in range(0, points, BATCH):
            steps = range(first, min(first + BATCH, points))
            values = array("d", ((step * 7919) % 1000 / 1000 for step in steps))
            await store.append("r", "t", "alice", str(first), block_of([curve_of("m", steps, steps, values)]))
        middle = Span("steps", points // 2, points // 2 + points // 100)
        timed: list[tuple[str, Callable[[], Awaitable[object]]]] = [
            ("thinned, whole", lambda: store.thinned("r", "m", EVERYTHING, SIZE, None)),
            ("thinned, a hundredth of it", lambda: store.thinned("r", "m", EVERYTHING, SIZE, middle)),
            ("read, whole", lambda: store.history("r", "m", EVERYTHING, 0, points)),
        ]
        took = {what: median([await seconds(ask) for _ in range(ROUNDS)]) for what, ask in timed}
        waited = await longest_append(store)
        await store.close()
    whole = took["read, whole"]
    rows = [[what, f"{s * 1000:,.0f}", ratio(s, whole)] for what, s in took.items()]
    print_table(f"{points:,} points, {SIZE:,} asked for; medians of {ROUNDS}", ["", "ms", "of reading all"], rows)
    print(f"\nThe longest that an append waited meanwhile: {waited * 1000:,.0f} ms.")
    print(f"Most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB (reading all of it too).")
    print(machine())


async def seconds(ask: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await ask()
    return time.perf_counter() - began


async def longest_append(store: SqliteCurveStore) -> float:
    """How long another run's points wait while a long curve is thinned."""
    thinning = asyncio.ensure_future(store.thinned("r", "m", EVERYTHING, SIZE, None))
    longest, number = 0.0, 0
    while not thinning.done():
        block = block_of([curve_of("m", [number], [number], [0.0])])
        longest = max(
            longest, await seconds(lambda block=block: store.append("other", "t", "a", str(block.steps[0]), block))
        )
        number += 1
    await thinning
    return longest


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else POINTS))
