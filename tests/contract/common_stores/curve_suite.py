"""What every store of curves must do."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Awaitable, Callable
from itertools import groupby
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.stores.curves import Batch, Curve, CurveStore, block_of, digest_of
from modelog_common.stores.curves.thinning import Span

EVERYTHING = 10**9
WHOLE = st.integers(-(2**63), 2**63 - 1)
POINTS = st.lists(st.tuples(WHOLE, WHOLE, st.floats()), min_size=1, max_size=20)


def curve(name: str, *points: tuple[int, int, float]) -> Curve:
    steps, times, values = zip(*points, strict=True)
    return Curve(name, array("q", steps), array("q", times), array("d", values))


async def append(store: CurveStore, run: str, author: str, request: str, curves: list[Curve]) -> Batch | None:
    return await store.append(run, "acme", author, request, block_of(curves))


class CurveStoreSuite:
    """Inherit, and give the fixtures `curves` and `reopened`."""

    @pytest.fixture
    async def curves(self) -> CurveStore:
        """A store without curves."""
        raise NotImplementedError

    @pytest.fixture
    def reopened(self) -> Callable[[], Awaitable[CurveStore]]:
        """Closes the store and opens it again."""
        raise NotImplementedError

    async def test_points_come_by_step_then_time_then_as_they_were_appended(self, curves: CurveStore) -> None:
        await append(curves, "r", "alice", "1", [curve("loss", (2, 20, 0.2), (1, 11, 0.11))])
        await append(curves, "r", "alice", "2", [curve("loss", (1, 10, 0.1), (2, 20, 0.3), (-1, 99, 9.0))])
        got = await curves.history("r", "loss", EVERYTHING, 0, EVERYTHING)
        assert list(zip(*got[1:], strict=True)) == [
            (-1, 99, 9.0),
            (1, 10, 0.1),
            (1, 11, 0.11),
            (2, 20, 0.2),
            (2, 20, 0.3),
        ]

    async def test_a_history_is_had_in_pages_and_up_to_a_batch(self, curves: CurveStore) -> None:
        for n in range(5):
            await append(curves, "r", "alice", str(n), [curve("m", (2 * n, 0, n), (2 * n + 1, 0, n))])
        pages = [await curves.history("r", "m", 4, offset, 3) for offset in (0, 3, 6, 9)]
        assert [list(page.steps) for page in pages] == [[0, 1, 2], [3, 4, 5], [6, 7], []]

    async def test_pages_of_batches_that_overlap_are_those_of_the_whole(self, curves: CurveStore) -> None:
        """Whoever reads only the batches that a page needs must not miss those that reach into it."""
        dice, points = Random(7), list[tuple[int, int, float]]()
        for n in range(60):
            begins = dice.choice([n, n, n, 10, 0, n - 7])
            own = [(begins + dice.randrange(3), dice.randrange(3), float(dice.random())) for _ in range(4)]
            points += own
            others = [curve("other", (10**6, 0, 0.0))] if n % 3 else []
            await append(curves, "r", "alice", str(n), [curve("m", *own[:3]), *others, curve("m", own[3])])
        wanted = sorted(points, key=lambda p: p[:2])
        for size in (1, 7, 50, 1000):
            got: list[tuple[Any, ...]] = []
            for offset in range(0, len(points), size):
                page = await curves.history("r", "m", EVERYTHING, offset, size)
                got += zip(*page[1:], strict=True)
            assert got == wanted

    async def test_a_thinned_curve_keeps_its_ends_its_extremes_and_what_is_no_number(self, curves: CurveStore) -> None:
        dice = Random(11)
        values = [dice.gauss(0, 1) for _ in range(5000)]
        values[1234], values[4321], values[3000] = 99.0, -99.0, math.nan
        points = [(n, 1000 + n, value) for n, value in enumerate(values)]
        for first in range(0, 5000, 700):
            await append(curves, "r", "alice", str(first), [curve("m", *points[first : first + 700])])
        got = await curves.thinned("r", "m", EVERYTHING, 100, None)
        kept = list(zip(*got.curve[1:], strict=True))
        assert [str(p) for p in kept] == [str(points[n]) for n in got.curve.steps], "every one is a point of the curve"
        assert list(got.curve.steps) == sorted(got.curve.steps)
        assert {0, 1234, 3000, 4321, 4999} <= set(got.curve.steps)
        assert len(kept) <= 101
        assert (got.total, got.lowest, got.highest, got.not_finite) == (5000, -99.0, 99.0, 1)
        up_to = await curves.thinned("r", "m", 1, 100, None)
        assert (up_to.total, up_to.curve.steps[-1]) == (700, 699)
        assert (await curves.thinned("r", "none", EVERYTHING, 100, None)).total == 0

    async def test_a_part_of_a_curve_is_thinned_by_itself(self, curves: CurveStore) -> None:
        for n in range(0, 3000, 500):
            await append(
                curves, "r", "alice", str(n), [curve("m", *((k, 10 * k, float(k)) for k in range(n, n + 500)))]
            )
        for span, wanted in (
            (Span("steps", 990, 1009), list(range(990, 1010))),
            (Span("times", 9900, 10_099), list(range(990, 1010))),
            (Span("steps", 3000, 9000), []),
        ):
            assert list((await curves.thinned("r", "m", EVERYTHING, 50, span)).curve.steps) == wanted
        wide = await curves.thinned("r", "m", EVERYTHING, 50, Span("steps", 100, 2899))
        assert (wide.total, wide.lowest, wide.highest) == (2800, 100.0, 2899.0)
        assert len(wide.curve.values) <= 50

    async def test_a_block_of_many_metrics_gives_each_its_own(self, curves: CurveStore) -> None:
        names = [f"m{n}" for n in range(300)]
        for n in range(3):
            await append(
                curves, "r", "alice", str(n), [curve(name, (n, 0, float(m + n))) for m, name in enumerate(names)]
            )
        for m in (0, 150, 299):
            assert list((await curves.history("r", f"m{m}", 2, 0, 9)).values) == [m, m + 1]

    async def test_metrics_and_runs_are_apart(self, curves: CurveStore) -> None:
        await append(curves, "r1", "alice", "1", [curve("a", (0, 0, 1)), curve("b", (0, 0, 2))])
        await append(curves, "r2", "alice", "1", [curve("a", (0, 0, 3))])
        values = [
            (await curves.history(*of, EVERYTHING, 0, 9)).values for of in (("r1", "a"), ("r1", "b"), ("r2", "a"))
        ]
        assert [list(v) for v in values] == [[1], [2], [3]]
        assert not (await curves.history("r2", "b", EVERYTHING, 0, 9)).values

    async def test_what_is_no_number_is_kept(self, curves: CurveStore) -> None:
        values = [math.nan, math.inf, -math.inf, 5e-324, -0.0]
        await append(curves, "r", "alice", "1", [curve("m", *((n, 0, v) for n, v in enumerate(values)))])
        got = await curves.history("r", "m", EVERYTHING, 0, 9)
        assert [str(v) for v in got.values] == [str(v) for v in values]

    async def test_a_request_is_taken_once(self, curves: CurveStore) -> None:
        first = await append(curves, "r", "alice", "1", [curve("m", (0, 0, 1))])
        assert first is not None
        assert first.number == 1
        assert await append(curves, "r", "alice", "1", [curve("m", (0, 0, 1))]) is None
        other = await append(curves, "r", "alice", "2", [curve("m", (0, 0, 1))])
        assert other is not None
        assert other.number == 2

    async def test_batches_come_back_as_they_were_appended(
        self, curves: CurveStore, reopened: Callable[[], Awaitable[CurveStore]]
    ) -> None:
        given_ = [curve("z", (2, 1, math.nan), (1, 1, 2)), curve("a", (0, 0, 1)), curve("z", (3, 3, 3))]
        appended = await append(curves, "r", "alice", "1", given_)
        assert appended is not None
        again = await (await reopened()).batches("r", 1, 1)
        assert [(b.run, b.number, b.tenant, b.author) for b in again] == [("r", 1, "acme", "alice")]
        assert digest_of(again) == digest_of([appended])
        assert [c.name for c in again[0].block.curves] == ["z", "a", "z"]
        assert again[0].count == appended.count == 4

    async def test_what_is_not_sealed_is_remembered(
        self, curves: CurveStore, reopened: Callable[[], Awaitable[CurveStore]]
    ) -> None:
        for n in range(4):
            await append(curves, "r", "alice", str(n), [curve("m", (n, 0, n))])
        await append(curves, "other", "bob", "1", [curve("m", (0, 0, 0))])
        await curves.seal("r", 2)
        curves = await reopened()
        assert [(b.run, b.number) for b in await curves.unsealed()] == [("other", 1), ("r", 3), ("r", 4)]
        await curves.seal("r", 4)
        await curves.seal("other", 1)
        assert await curves.unsealed() == []
        await curves.unseal("r", 3)
        assert [(b.run, b.number) for b in await curves.unsealed()] == [("r", 4)]
        assert sorted(await curves.runs()) == [("other", 1), ("r", 4)]

    async def test_many_append_at_once(self, curves: CurveStore) -> None:
        made = await asyncio.gather(
            *(append(curves, f"r{n % 3}", "alice", str(n), [curve("m", (n, 0, n))]) for n in range(300))
        )
        numbers = sorted((b.run, b.number) for b in made if b is not None)
        assert [(run, [n for _, n in of]) for run, of in groupby(numbers, key=lambda b: b[0])] == [
            (f"r{n}", list(range(1, 101))) for n in range(3)
        ]

    async def test_a_run_can_be_dropped(self, curves: CurveStore) -> None:
        for run in ("r1", "r2"):
            await append(curves, run, "alice", "1", [curve("m", (0, 0, 1))])
        await curves.drop("r1")
        assert not (await curves.history("r1", "m", EVERYTHING, 0, 9)).values
        assert (await curves.history("r2", "m", EVERYTHING, 0, 9)).values
        assert await curves.runs() == [("r2", 1)]

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batches=st.lists(POINTS, min_size=1, max_size=5))
    async def test_any_points_come_back_in_order(
        self, curves: CurveStore, batches: list[list[tuple[int, int, float]]]
    ) -> None:
        run = str(uuid4())
        for n, points in enumerate(batches):
            await append(curves, run, "alice", str(n), [curve("m", *points)])
        got = await curves.history(run, "m", EVERYTHING, 0, EVERYTHING)
        wanted = sorted((p for points in batches for p in points), key=lambda p: p[:2])
        assert [str(p) for p in zip(*got[1:], strict=True)] == [str(p) for p in wanted]
