"""The split of traffic: fair, sticky, and no key moves that need not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_serving.deployment.split import POINTS, Segment, lay_out, point_of, version_at
from modelog_serving.deployment.state import Deployment, Variant
from modelog_serving.routing.routes import Route
from scipy.stats import binomtest  # type: ignore[import-untyped]

KEYS = [f"key-{n}" for n in range(20_000)]
VERSIONS = ["1.0.0", "1.1.0", "1.2.0", "2.0.0"]


@st.composite
def percents(draw: st.DrawFn) -> dict[str, float]:
    """Shares of some versions, 100 in all."""
    versions = draw(st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=4, unique=True))
    weights = [draw(st.integers(0, 1000)) for _ in versions]
    total = sum(weights)
    if total == 0:
        return {versions[0]: 100.0}
    return {version: 100 * weight / total for version, weight in zip(versions, weights, strict=True)}


def sizes(segments: tuple[Segment, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for segment in segments:
        found[segment.version] = found.get(segment.version, 0) + segment.end - segment.start
    return found


def moved(before: tuple[Segment, ...], after: tuple[Segment, ...]) -> int:
    """How many points changed hands."""
    edges = sorted({s.start for s in (*before, *after)} | {POINTS})
    return sum(b - a for a, b in pairwise(edges) if version_at(before, a) != version_at(after, a))


@given(st.lists(percents(), min_size=1, max_size=6))
def test_every_split_covers_all_points_and_moves_only_what_it_must(splits: list[dict[str, float]]) -> None:
    segments: tuple[Segment, ...] = ()
    for wanted in splits:
        after = lay_out(segments, wanted)
        assert after[0].start == 0
        assert after[-1].end == POINTS
        assert all(a.end == b.start and a.version != b.version for a, b in pairwise(after))
        got = sizes(after)
        for version, percent in wanted.items():
            assert got.get(version, 0) == pytest.approx(percent * POINTS / 100, abs=len(wanted))
        if segments:
            had = sizes(segments)
            assert moved(segments, after) == sum(max(0, size - had.get(v, 0)) for v, size in got.items())
        segments = after


def test_the_share_of_keys_is_the_share_of_traffic() -> None:
    for percent in (1, 10, 33.3, 50):
        segments = lay_out(lay_out((), {"1.0.0": 100}), {"1.0.0": 100 - percent, "1.1.0": percent})
        drawn = sum(version_at(segments, point_of("flights", key)) == "1.1.0" for key in KEYS)
        assert binomtest(drawn, len(KEYS), percent / 100).pvalue > 0.001


def test_a_larger_canary_keeps_its_keys_and_takes_others() -> None:
    all_to_one = lay_out((), {"1.0.0": 100})
    ten = lay_out(all_to_one, {"1.0.0": 90, "1.1.0": 10})
    twenty = lay_out(ten, {"1.1.0": 20, "1.0.0": 80})
    at_ten = {key for key in KEYS if version_at(ten, point_of("flights", key)) == "1.1.0"}
    at_twenty = {key for key in KEYS if version_at(twenty, point_of("flights", key)) == "1.1.0"}
    assert at_ten < at_twenty
    assert binomtest(len(at_twenty - at_ten), len(KEYS), 0.1).pvalue > 0.001


def test_deployments_do_not_draw_the_same_keys() -> None:
    both = [(point_of("a", key) < POINTS // 10, point_of("b", key) < POINTS // 10) for key in KEYS]
    assert binomtest(sum(a and b for a, b in both), len(KEYS), 0.01).pvalue > 0.001


@given(percents(), percents(), st.lists(st.text(max_size=20), min_size=1, max_size=50))
def test_a_batch_is_drawn_as_single_requests_are(
    first: dict[str, float], second: dict[str, float], keys: list[str]
) -> None:
    variants = {version: Variant(version, percent, version, "xgboost") for version, percent in second.items()}
    deployment = Deployment(id="d", variants=tuple(variants.values()), segments=lay_out(lay_out((), first), second))
    route = Route("acme", deployment, variants)
    answering, drawn = route.drawn_all(keys)
    assert [answering[n].version for n in drawn] == [route.drawn(key).version for key in keys]
    assert {answering[n] for n in drawn} == set(answering)
