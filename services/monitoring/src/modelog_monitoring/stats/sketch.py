"""Sketch of one numeric column: a bounded number of values with counts, and bins that respect ties."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

# Kept values per column: moves the distribution function by 1.3e-4 at most, where a two-sample test of 28,000
# rows a side resolves 1.2e-2, and keeps 23 columns near 2 MB of JSON.
DEFAULT_KEEP = 4_000
# Deciles, the convention that the PSI rules of thumb (0.1, 0.25) were made for.
DEFAULT_BINS = 10


def distinct_of_sorted(ascending: Floats) -> tuple[Floats, Ints]:
    """Distinct values of an ascending array and how often each occurs."""
    if len(ascending) == 0:
        return ascending, np.zeros(0, dtype=np.int64)
    starts = np.concatenate(([0], np.flatnonzero(ascending[1:] != ascending[:-1]) + 1))
    return ascending[starts], np.diff(np.append(starts, len(ascending)))


def compress(ascending: Floats, distinct: Floats, times: Ints, keep: int) -> tuple[Floats, Ints]:
    """At most `keep` distinct values with counts that sum to all rows.

    Up to `keep` distinct values nothing is lost. Above, the sorted rows are cut into `keep` equal groups and
    each is represented by its middle row, so the distribution function moves by half a group. Deterministic:
    a random sample of the same size would err by about 1 / sqrt(keep) and cost the tests their power.
    """
    if len(distinct) <= keep:
        return distinct, times
    bounds = np.arange(keep + 1, dtype=np.int64) * len(ascending) // keep
    middles = (bounds[:-1] + bounds[1:] - 1) // 2
    values, starts = np.unique(ascending[middles], return_index=True)
    return values, np.add.reduceat(np.diff(bounds), starts)


def bin_edges(distinct: Floats, times: Ints, bins: int) -> Floats:
    """Right-closed bin edges: quantiles, but a value with a bin's share of the rows gets a bin of its own.

    Plain quantile edges collapse on a zero-inflated column and PSI then sees nothing. A value v alone in (v-,
    v] needs only the edges v- (the float just below v) and v; the other rows share the remaining bins.
    """
    rows = int(times.sum())
    if rows == 0:
        return np.zeros(0)
    heavy = times * bins >= rows
    mass_points = distinct[heavy]
    others, other_times = distinct[~heavy], times[~heavy]
    other_bins = max(1, round(bins * int(other_times.sum()) / rows))
    inner = np.arange(1, other_bins) / other_bins * other_times.sum()
    quantiles = others[np.searchsorted(np.cumsum(other_times), inner)] if len(others) else others
    return np.unique(np.concatenate((quantiles, np.nextafter(mass_points, -np.inf), mass_points)))


def histogram(values: Floats, counts: Ints, edges: Floats) -> Ints:
    """Rows in each bin (edges[i-1], edges[i]]; len(edges) + 1 bins, the outer ones open."""
    below = np.concatenate(([0], np.cumsum(counts)))[np.searchsorted(values, edges, side="right")]
    return np.diff(np.concatenate(([0], below, [counts.sum()])))
