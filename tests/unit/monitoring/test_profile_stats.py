"""Reference profiles: exact where they can be, bounded error where not, and safe to store."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from modelog_common.domain.errors import Invalid
from modelog_monitoring.stats import sketch
from modelog_monitoring.stats.profile import (
    CategoricalProfile,
    Kind,
    NumericProfile,
    Profile,
    from_json,
    profile_of,
    to_json,
)

columns = hnp.arrays(
    np.float32,
    st.integers(1, 200),
    elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.just(0.0), st.sampled_from([np.nan, np.inf, -np.inf])),
)


def numeric(column: np.ndarray, *, bins: int = 10, keep: int = 4_000) -> NumericProfile:
    (feature,) = profile_of(column[:, None], {"x": Kind.NUMERIC}, bins=bins, keep=keep).features
    assert isinstance(feature, NumericProfile)
    return feature


@given(columns)
def test_a_small_column_is_kept_exactly(column: np.ndarray) -> None:
    feature = numeric(column)
    finite = np.sort(column[np.isfinite(column)]).astype(float)
    assert np.repeat(feature.values, feature.counts).tolist() == finite.tolist()
    assert feature.missing == len(column) - len(finite)
    if len(finite):
        assert feature.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
        assert feature.std == pytest.approx(finite.std(), rel=1e-6, abs=1e-6)


@given(columns)
def test_a_profile_survives_storage_bit_for_bit(column: np.ndarray) -> None:
    profile = profile_of(column[:, None], {"x": Kind.NUMERIC})
    assert from_json(to_json(profile)) == profile


@given(columns, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(column: np.ndarray, random: object) -> None:
    shuffled = column.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert numeric(column, keep=10) == numeric(np.asarray(shuffled, dtype=np.float32), keep=10)


@pytest.mark.parametrize("keep", [2, 50, 997])
@pytest.mark.parametrize("zeros", [0.0, 0.4])
def test_a_large_column_is_kept_within_the_stated_error(keep: int, zeros: float) -> None:
    rng = np.random.default_rng(3)
    column = np.where(rng.random(20_011) < zeros, 0, rng.lognormal(size=20_011))
    feature = numeric(column, keep=keep)
    assert len(feature.values) <= keep
    kept = np.repeat(feature.values, feature.counts)
    at = np.concatenate((column, np.nextafter(column, -np.inf)))
    error = np.searchsorted(np.sort(column), at, "right") - np.searchsorted(kept, at, "right")
    assert np.abs(error).max() / len(column) <= 1 / (2 * keep) + 1 / len(column)


@given(columns, st.integers(2, 20))
def test_bins_count_every_row_once_and_edges_ascend(column: np.ndarray, bins: int) -> None:
    feature = numeric(column, bins=bins)
    finite = column[np.isfinite(column)].astype(float)
    which = np.searchsorted(feature.edges, finite, side="left")
    assert feature.bin_counts == tuple(np.bincount(which, minlength=len(feature.edges) + 1).tolist())
    assert np.all(np.diff(feature.edges) > 0)


def test_continuous_bins_are_equally_full() -> None:
    assert set(numeric(np.random.default_rng(0).normal(size=10_000)).bin_counts) == {1_000}


def test_mass_points_get_a_bin_of_their_own_and_the_rest_is_still_divided() -> None:
    column = np.concatenate((np.zeros(6_000), np.arange(1.0, 4_001)))
    feature = numeric(column)
    assert feature.bin_counts == (0, 6_000, 1_000, 1_000, 1_000, 1_000)
    assert feature.edges[1] == 0.0


def test_a_constant_column_has_one_full_bin() -> None:
    feature = numeric(np.full(10, 7.0))
    assert (feature.values, feature.counts, feature.bin_counts, feature.std) == ((7.0,), (10,), (0, 10, 0), 0.0)


def test_a_column_without_values_has_no_mean() -> None:
    feature = numeric(np.full(3, np.nan))
    assert (feature.mean, feature.std, feature.values, feature.bin_counts) == (None, None, (), (0,))
    assert feature.present == 0


def test_categories_are_counted_and_nan_is_missing() -> None:
    rows = np.asarray([[3, 1], [3, np.nan], [-1, 1]], dtype=np.float32)
    profile = profile_of(rows, {"a": Kind.CATEGORICAL, "b": Kind.CATEGORICAL})
    assert profile.features == (
        CategoricalProfile("a", rows=3, missing=0, codes=(-1, 3), counts=(1, 2)),
        CategoricalProfile("b", rows=3, missing=1, codes=(1,), counts=(2,)),
    )
    assert profile.kinds == {"a": Kind.CATEGORICAL, "b": Kind.CATEGORICAL}
    assert from_json(to_json(profile)) == profile


TWO = {"a": Kind.NUMERIC, "b": Kind.CATEGORICAL}


@pytest.mark.parametrize(
    ("rows", "kinds", "said"),
    [
        (np.zeros(3), TWO, r"rows: shape \(3,\) is not allowed; \(rows, features\)"),
        (np.zeros((3, 2), dtype=int), TWO, "rows: dtype int64 is not allowed; float32 or float64"),
        (np.zeros((3, 0)), {}, "kinds: names no columns"),
        (np.zeros((3, 1)), TWO, "rows: has 1 columns; 2 are named: a, b"),
        (np.zeros((0, 2)), TWO, "rows: is empty; at least one row"),
        (np.full((3, 2), 0.5), TWO, "b: 0.5 is not allowed; codes are integers"),
        (np.full((3, 2), np.inf), TWO, "b: inf is not allowed"),
        (np.full((3, 2), 1e30), TWO, r"b: 1e\+30 is not allowed"),
    ],
)
def test_a_table_that_cannot_be_profiled_is_refused(rows: np.ndarray, kinds: dict[str, Kind], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        profile_of(rows, kinds)


@pytest.mark.parametrize("field", ["bins", "keep"])
def test_too_small_a_sketch_is_refused(field: str) -> None:
    with pytest.raises(Invalid, match=f"{field}: 1 is too small; at least 2"):
        profile_of(np.zeros((3, 1)), {"a": Kind.NUMERIC}, **{field: 1})


def stored(**changes: object) -> bytes:
    profile = profile_of(np.asarray([[1.0, 2.0], [2.0, 2.0]]), TWO)
    document = msgspec.json.decode(to_json(profile))
    document["features"][0] |= {name: value for name, value in changes.items() if name != "category_counts"}
    if "category_counts" in changes:
        document["features"][1]["counts"] = changes["category_counts"]
    return msgspec.json.encode(document)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"{", "profile: not a stored profile"),
        (b'{"rows": "many", "features": []}', r"Expected `int`, got `str` - at `\$.rows`"),
        (stored(counts=[1]), "a: counts, one per value and per bin, must sum"),
        (stored(counts=[1, 2]), "a: counts"),
        (stored(bin_counts=[2]), "a: counts"),
        (stored(category_counts=[1]), "b: counts, one per code, must sum"),
        (stored(category_counts=[1, 1]), "b: counts"),
        (stored(name="b"), "profile: each feature must be named once"),
        (stored(rows=3, missing=1), "profile: each feature must be named once and have the profile's rows"),
    ],
)
def test_a_damaged_stored_profile_is_refused(document: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        from_json(document)


def test_an_empty_sketch_has_no_edges_and_one_empty_bin() -> None:
    nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    assert sketch.distinct_of_sorted(nothing)[1].tolist() == []
    edges = sketch.bin_edges(nothing, none, 10)
    assert sketch.histogram(nothing, none, edges).tolist() == [0]
    assert Profile(rows=1, features=()).kinds == {}
