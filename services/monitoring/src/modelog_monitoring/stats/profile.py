"""Profiles: what is kept of a table's columns so that later tables can be compared with it.

A profile holds no rows, only a bounded sketch per column, and goes to JSON and back without loss.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from modelog_common.domain.errors import Invalid

from modelog_monitoring.stats import sketch

Rows: TypeAlias = npt.NDArray[np.floating[Any]]

# Above this, neighbouring integers are the same float64.
LARGEST_CODE = 2.0**53


class Kind(StrEnum):
    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


class NumericProfile(msgspec.Struct, frozen=True, tag_field="kind", tag="numeric"):
    """One numeric column; a value that is not finite counts as missing.

    `values` (ascending, distinct) with `counts` is the empirical distribution: exact up to `keep` distinct
    values, above that within 1 / (2 * keep) of the exact distribution function. Bin i of `bin_counts` holds
    the values in (edges[i-1], edges[i]], the first and the last bin being open to -inf and +inf.
    """

    name: str
    rows: int
    missing: int
    mean: float | None
    std: float | None
    values: tuple[float, ...]
    counts: tuple[int, ...]
    edges: tuple[float, ...]
    bin_counts: tuple[int, ...]

    def __post_init__(self) -> None:
        self_consistent = (
            len(self.values) == len(self.counts)
            and len(self.bin_counts) == len(self.edges) + 1
            and sum(self.counts) == sum(self.bin_counts) == self.rows - self.missing
        )
        if not self_consistent:
            raise Invalid.field(self.name, "counts, one per value and per bin, must sum to rows - missing")

    @property
    def present(self) -> int:
        return self.rows - self.missing


class CategoricalProfile(msgspec.Struct, frozen=True, tag_field="kind", tag="categorical"):
    """One column of integer codes, NaN being missing; `counts` say how often each of `codes` occurs."""

    name: str
    rows: int
    missing: int
    codes: tuple[int, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.counts) or sum(self.counts) != self.rows - self.missing:
            raise Invalid.field(self.name, "counts, one per code, must sum to rows - missing")

    @property
    def present(self) -> int:
        return self.rows - self.missing


FeatureProfile: TypeAlias = NumericProfile | CategoricalProfile


class Profile(msgspec.Struct, frozen=True):
    """The columns of one table (a reference or a window), all over the same rows."""

    rows: int
    features: tuple[FeatureProfile, ...]

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if len(set(names)) < len(names) or any(feature.rows != self.rows for feature in self.features):
            raise Invalid.field("profile", "each feature must be named once and have the profile's rows")

    @property
    def kinds(self) -> dict[str, Kind]:
        """Name to kind, in column order: what `profile_of` needs to profile another table the same way."""
        return {feature.name: kind_of(feature) for feature in self.features}


def kind_of(feature: FeatureProfile) -> Kind:
    return Kind.NUMERIC if isinstance(feature, NumericProfile) else Kind.CATEGORICAL


def profile_of(
    rows: Rows,
    kinds: Mapping[str, Kind],
    *,
    bins: int = sketch.DEFAULT_BINS,
    keep: int = sketch.DEFAULT_KEEP,
) -> Profile:
    """Profile a table of shape (rows, features), float32 or float64; `kinds` names its columns, in order.

    Raises Invalid for another shape, no rows, no columns, or a categorical column whose values are not
    integers.
    """
    names = list(kinds)
    check_table(rows, names)
    check_at_least(bins, 2, "bins")
    check_at_least(keep, 2, "keep")
    columns = np.ascontiguousarray(rows.T)
    return Profile(
        rows=len(rows),
        features=tuple(
            numeric_profile(name, column, bins, keep)
            if kinds[name] == Kind.NUMERIC
            else categorical_profile(name, column)
            for name, column in zip(names, columns, strict=True)
        ),
    )


def numeric_profile(name: str, column: Rows, bins: int, keep: int) -> NumericProfile:
    """Profile one numeric column of shape (rows,)."""
    ascending = np.sort(column[np.isfinite(column)]).astype(np.float64)
    distinct, times = sketch.distinct_of_sorted(ascending)
    values, counts = sketch.compress(ascending, distinct, times, keep)
    edges = sketch.bin_edges(distinct, times, bins)
    return NumericProfile(
        name=name,
        rows=len(column),
        missing=len(column) - len(ascending),
        mean=float(ascending.mean()) if len(ascending) else None,
        std=float(ascending.std()) if len(ascending) else None,
        values=tuple(values.tolist()),
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
        bin_counts=tuple(sketch.histogram(distinct, times, edges).tolist()),
    )


def categorical_profile(name: str, column: Rows) -> CategoricalProfile:
    """Profile one column of codes, shape (rows,); raises Invalid where a code is not an integer."""
    present = column[~np.isnan(column)].astype(np.float64)
    refused = present[(np.abs(present) >= LARGEST_CODE) | (present != np.rint(present))]
    if len(refused):
        raise Invalid.field(name, f"{refused[0]} is not allowed; codes are integers below 2^53, NaN is missing")
    codes, counts = np.unique(present.astype(np.int64), return_counts=True)
    return CategoricalProfile(
        name=name,
        rows=len(column),
        missing=len(column) - len(present),
        codes=tuple(codes.tolist()),
        counts=tuple(counts.tolist()),
    )


def to_json(profile: Profile) -> bytes:
    """The profile as JSON; `from_json` gives back an equal profile."""
    return msgspec.json.encode(profile)


def from_json(document: bytes) -> Profile:
    """A stored profile; raises Invalid saying which part of the document is wrong."""
    try:
        return msgspec.json.decode(document, type=Profile)
    except msgspec.DecodeError as error:
        raise Invalid.field("profile", f"not a stored profile: {error}") from error


def check_table(rows: Rows, names: Sequence[str]) -> None:
    if rows.ndim != 2:
        raise Invalid.field("rows", f"shape {rows.shape} is not allowed; (rows, features) is needed")
    if not np.issubdtype(rows.dtype, np.floating):
        raise Invalid.field("rows", f"dtype {rows.dtype} is not allowed; float32 or float64 is needed")
    if not names:
        raise Invalid.field("kinds", "names no columns; at least one is needed")
    if rows.shape[1] != len(names):
        raise Invalid.field("rows", f"has {rows.shape[1]} columns; {len(names)} are named: {', '.join(names)}")
    if len(rows) == 0:
        raise Invalid.field("rows", "is empty; at least one row is needed")


def check_at_least(given: int, least: int, field: str) -> None:
    if given < least:
        raise Invalid.field(field, f"{given} is too small; at least {least} is needed")
