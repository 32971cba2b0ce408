"""Drift of a window against a reference: tests and effect sizes per feature, corrected over all features."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
import numpy as np
import scipy.stats
from modelog_common.domain.errors import Invalid

from modelog_monitoring.stats import distance, sketch
from modelog_monitoring.stats.distance import Tested
from modelog_monitoring.stats.profile import (
    CategoricalProfile,
    FeatureProfile,
    Kind,
    NumericProfile,
    Profile,
    Rows,
    kind_of,
    profile_of,
)


class Limits(msgspec.Struct, frozen=True):
    """When a difference counts as drift: corrected p below `alpha` and an effect of at least a limit.

    The p-value alone says nothing at 27,000 rows, where every month of real data differs from every other.
    The limits are what Cohen (1988, Statistical Power Analysis for the Behavioral Sciences) calls a small
    effect, on each scale: a mean shifted by d = 0.2 standard deviations has a normalised Wasserstein distance
    of 0.2 and, for a normal column, a KS distance of 2 * Phi(0.1) - 1 = 0.08; w = 0.1 for categories, which
    is Cramer's V on two rows; h = 0.2 for shares, e.g. a column that was never missing being missing in 1 %
    of the rows.
    """

    alpha: float = 0.05
    ks: float = 0.08
    wasserstein: float = 0.2
    cramers_v: float = 0.1
    cohens_h: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise Invalid.field("alpha", f"{self.alpha} is not allowed; it must lie between 0 and 1")
        for name in ("ks", "wasserstein", "cramers_v", "cohens_h"):
            if not getattr(self, name) >= 0:
                raise Invalid.field(name, f"{getattr(self, name)} is not allowed; it must be 0 or more")


class Finding(msgspec.Struct, frozen=True):
    """One test on one feature; `drifted` needs both a corrected p below alpha and a large effect."""

    test: Literal["ks", "chi_squared", "missing"]
    statistic: float
    p_value: float
    corrected_p: float
    effects: dict[str, float]
    large: bool
    drifted: bool


class FeatureDrift(msgspec.Struct, frozen=True):
    """What was found on one feature; `findings` is empty where both sides hold no value at all."""

    name: str
    kind: Kind
    drifted: bool
    findings: tuple[Finding, ...]
    psi: float
    reference_missing_share: float
    window_missing_share: float


class DriftReport(msgspec.Struct, frozen=True):
    """All features of one window, in the reference's order."""

    reference_rows: int
    window_rows: int
    limits: Limits
    features: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features if feature.drifted)


def drift_of_rows(reference: Profile, rows: Rows, columns: Sequence[str], limits: Limits | None = None) -> DriftReport:
    """Compare a window of shape (rows, features) with a stored reference; `columns` may be in any order.

    Raises Invalid for an empty window or for columns that are not the reference's.
    """
    kinds = reference.kinds
    check_same_names(kinds, columns)
    return drift(reference, profile_of(rows, {name: kinds[name] for name in columns}), limits)


def drift(reference: Profile, window: Profile, limits: Limits | None = None) -> DriftReport:
    """Compare two profiles of the same features. Raises Invalid where names or kinds differ."""
    limits = limits or Limits()
    check_same_names(reference.kinds, window.kinds)
    by_name = {feature.name: feature for feature in window.features}
    pairs = [(feature, by_name[feature.name]) for feature in reference.features]
    findings = corrected([list(findings_of(was, now, limits)) for was, now in pairs], limits.alpha)
    return DriftReport(
        reference_rows=reference.rows,
        window_rows=window.rows,
        limits=limits,
        features=tuple(
            FeatureDrift(
                name=was.name,
                kind=kind_of(was),
                drifted=any(finding.drifted for finding in found),
                findings=tuple(found),
                psi=psi_of(was, now),
                reference_missing_share=was.missing / was.rows,
                window_missing_share=now.missing / now.rows,
            )
            for (was, now), found in zip(pairs, findings, strict=True)
        ),
    )


def findings_of(was: FeatureProfile, now: FeatureProfile, limits: Limits) -> Iterable[Finding]:
    """The tests of one feature, uncorrected: on its values if both sides have some, on what is missing."""
    match was, now:
        case NumericProfile(), NumericProfile():
            if was.present and now.present:
                yield numeric_finding(was, now, limits)
        case CategoricalProfile(), CategoricalProfile():
            if was.present and now.present:
                yield categorical_finding(was, now, limits)
        case _:
            raise Invalid.field(was.name, f"is {kind_of(now)} in the window; the reference has it {kind_of(was)}")
    if was.missing or now.missing:
        yield missing_finding(was, now, limits)


def numeric_finding(was: NumericProfile, now: NumericProfile, limits: Limits) -> Finding:
    """KS test; large if the KS or the Wasserstein distance is (heavy tails move the second alone)."""
    assert was.std is not None  # noqa: S101 - a column with present values has a standard deviation
    samples = (np.asarray(was.values), np.asarray(was.counts), np.asarray(now.values), np.asarray(now.counts))
    tested = distance.kolmogorov_smirnov(*samples)
    moved = distance.wasserstein(*samples, scale=was.std)
    effects = {"ks": tested.statistic} | ({} if moved is None else {"wasserstein": moved})
    large = tested.statistic >= limits.ks or (moved is not None and moved >= limits.wasserstein)
    return uncorrected("ks", tested, effects, large)


def categorical_finding(was: CategoricalProfile, now: CategoricalProfile, limits: Limits) -> Finding:
    """Chi-squared test on the counts, rare categories pooled; Cramer's V of the same pooled table."""
    table = distance.pool_rare(contingency(was, now))
    size = distance.cramers_v(table)
    return uncorrected("chi_squared", distance.chi_squared(table), {"cramers_v": size}, size >= limits.cramers_v)


def missing_finding(was: FeatureProfile, now: FeatureProfile, limits: Limits) -> Finding:
    """Chi-squared test that the same share is missing; Cohen's h as its size."""
    table = np.asarray([[was.missing, was.present], [now.missing, now.present]])
    size = distance.cohens_h(was.missing / was.rows, now.missing / now.rows)
    return uncorrected("missing", distance.chi_squared(table), {"cohens_h": size}, size >= limits.cohens_h)


def contingency(was: CategoricalProfile, now: CategoricalProfile) -> sketch.Ints:
    """Counts of shape (2, categories) over the categories of either side."""
    codes = sorted({*was.codes, *now.codes})
    sides = [dict(zip(side.codes, side.counts, strict=True)) for side in (was, now)]
    return np.asarray([[counts.get(code, 0) for code in codes] for counts in sides], dtype=np.int64)


def psi_of(was: FeatureProfile, now: FeatureProfile) -> float:
    """PSI over the reference's bins or the categories, with one more bin for missing where any value is."""
    if isinstance(was, NumericProfile) and isinstance(now, NumericProfile):
        edges = np.asarray(was.edges)
        before = np.asarray(was.bin_counts)
        after = sketch.histogram(np.asarray(now.values), np.asarray(now.counts, dtype=np.int64), edges)
    else:
        assert isinstance(was, CategoricalProfile)  # noqa: S101 - findings_of has refused unlike kinds
        assert isinstance(now, CategoricalProfile)  # noqa: S101
        before, after = contingency(was, now)
    if was.missing or now.missing:
        before, after = np.append(before, was.missing), np.append(after, now.missing)
    return distance.population_stability(before, after)


def uncorrected(
    test: Literal["ks", "chi_squared", "missing"], tested: Tested, effects: dict[str, float], large: bool
) -> Finding:
    return Finding(
        test=test,
        statistic=tested.statistic,
        p_value=tested.p_value,
        corrected_p=tested.p_value,
        effects=effects,
        large=large,
        drifted=False,
    )


def corrected(found: list[list[Finding]], alpha: float) -> list[list[Finding]]:
    """The same findings, p-values corrected over all of them (Benjamini and Hochberg 1995), drift decided."""
    p_values = [finding.p_value for findings in found for finding in findings]
    if not p_values:
        return found
    adjusted = iter(scipy.stats.false_discovery_control(p_values, method="bh").tolist())
    return [[decided(finding, next(adjusted), alpha) for finding in findings] for findings in found]


def decided(finding: Finding, corrected_p: float, alpha: float) -> Finding:
    return msgspec.structs.replace(finding, corrected_p=corrected_p, drifted=finding.large and corrected_p < alpha)


def check_same_names(expected: Iterable[str], given: Iterable[str]) -> None:
    expected, given = list(expected), list(given)
    problems = {
        "not in the reference": sorted(set(given) - set(expected)),
        "missing": sorted(set(expected) - set(given)),
        "named twice": sorted({name for name in given if given.count(name) > 1}),
    }
    said = "; ".join(f"{problem}: {', '.join(names)}" for problem, names in problems.items() if names)
    if said:
        raise Invalid.field("columns", f"{said}; the reference has {', '.join(expected)}")
