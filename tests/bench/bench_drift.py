"""Time to compare a month of flights' size (28,000 rows, 23 columns) with a stored profile, against plain scipy.

Run: python tests/bench/bench_drift.py
"""

import time
from collections.abc import Callable

import numpy as np
import scipy.stats
from modelog_monitoring.stats.drift import drift_of_rows
from modelog_monitoring.stats.profile import Kind, from_json, profile_of, to_json

ROWS, NUMERIC, CATEGORICAL, REPEATS = 28_000, 20, 3, 7
GOAL_S = 0.3


def table(rng: np.random.Generator) -> np.ndarray:
    """(ROWS, 23) float32: continuous, zero-inflated, whole numbers and categories."""
    numeric = rng.normal(size=(ROWS, NUMERIC))
    numeric[:, 8:12] = np.where(rng.random((ROWS, 4)) < 0.7, 0, rng.lognormal(size=(ROWS, 4)))
    numeric[:, 12:16] = rng.poisson(9, size=(ROWS, 4))
    return np.hstack((numeric, rng.integers(0, 16, size=(ROWS, CATEGORICAL)))).astype(np.float32)


def median_s(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def plain_scipy(reference: np.ndarray, window: np.ndarray) -> list[float]:
    """What a per-column loop over the raw rows costs: KS and Wasserstein or chi-squared, then the correction."""
    p_values = []
    for before, after in zip(reference.T[:NUMERIC], window.T[:NUMERIC], strict=True):
        p_values.append(scipy.stats.ks_2samp(before, after, method="asymp").pvalue)
        scipy.stats.wasserstein_distance(before, after)
    for before, after in zip(reference.T[NUMERIC:], window.T[NUMERIC:], strict=True):
        codes = np.unique(np.concatenate((before, after)))
        counts = [[np.count_nonzero(side == code) for code in codes] for side in (before, after)]
        p_values.append(scipy.stats.chi2_contingency(counts).pvalue)
    return list(scipy.stats.false_discovery_control(p_values))


def main() -> None:
    rng = np.random.default_rng(0)
    kinds = {f"c{i}": Kind.NUMERIC if i < NUMERIC else Kind.CATEGORICAL for i in range(NUMERIC + CATEGORICAL)}
    before, after = table(rng), table(rng)
    reference = profile_of(before, kinds)
    document = to_json(reference)
    build, load = median_s(lambda: profile_of(before, kinds)), median_s(lambda: from_json(document))
    compare = median_s(lambda: drift_of_rows(reference, after, list(kinds)))
    plain = median_s(lambda: plain_scipy(before, after))
    print(f"{ROWS} rows x {len(kinds)} columns, median of {REPEATS}")
    print(f"build a profile           {build * 1e3:8.1f} ms")
    print(f"load a stored profile     {load * 1e3:8.1f} ms   {len(document) / 1e6:.2f} MB of JSON")
    print(f"compare a window with it  {compare * 1e3:8.1f} ms   {compare / GOAL_S:.2f} of the goal ({GOAL_S} s)")
    print(f"plain scipy, raw rows     {plain * 1e3:8.1f} ms   {plain / compare:.1f} times as long")


if __name__ == "__main__":
    main()
