"""From the rows of a window to its figures: drift of every feature, quality overall and by version."""

from __future__ import annotations

import numpy as np
from modelog_common.domain.errors import Invalid

from modelog_monitoring.data.rows import Rows
from modelog_monitoring.monitor.commands import Findings
from modelog_monitoring.monitor.events import DriftLimits, FeatureFigures, QualityFigures
from modelog_monitoring.stats.drift import FeatureDrift, Finding, Limits, drift_of_rows
from modelog_monitoring.stats.profile import Profile
from modelog_monitoring.stats.quality import quality

_TESTS = {"ks": ("ks", "ks"), "chi_squared": ("chi2", "cramers_v"), "missing": ("missing", "cohens_h")}


def findings_of(reference: Profile, limits: DriftLimits, rows: Rows) -> Findings:
    """The figures of a window with at least one row."""
    notes: list[str] = []
    labelled = rows.labelled
    whole = _quality(labelled, "", notes)
    versions = [v for n, v in enumerate(rows.versions) if (rows.answered_by == n).any()]
    by_version = {v: _quality(labelled.of(v), v, notes) for v in versions}
    return Findings(
        predictions=len(rows),
        labelled=len(labelled),
        predictions_by_version={v: len(rows.of(v)) for v in versions},
        features=_drift(reference, limits, rows, notes),
        quality=whole,
        by_version={v: figures for v, figures in by_version.items() if figures is not None},
        note="; ".join(dict.fromkeys(notes)),
    )


def _drift(reference: Profile, limits: DriftLimits, rows: Rows, notes: list[str]) -> tuple[FeatureFigures, ...]:
    asked = Limits(alpha=limits.false_discovery_rate, ks=limits.ks_distance, cramers_v=limits.cramers_v)
    try:
        report = drift_of_rows(reference, rows.features, rows.feature_names, asked)
    except Invalid as error:
        notes.append(f"drift could not be judged: {error}")
        return ()
    return tuple(_figures(feature) for feature in report.features)


def _figures(feature: FeatureDrift) -> FeatureFigures:
    """The finding that says most: one that drifted before one that did not, the values before what is missing."""
    found = sorted(feature.findings, key=lambda f: (not f.drifted, f.test == "missing"))
    test, effect = _named(found[0]) if found else ("", 0.0)
    return FeatureFigures(
        feature=feature.name,
        test=test,
        statistic=found[0].statistic if found else 0.0,
        p_value=found[0].p_value if found else 1.0,
        q_value=found[0].corrected_p if found else 1.0,
        effect=effect,
        psi=feature.psi,
        drifted=feature.drifted,
        reference_missing_share=feature.reference_missing_share,
        missing_share=feature.window_missing_share,
    )


def _named(finding: Finding) -> tuple[str, float]:
    test, effect = _TESTS[finding.test]
    return test, finding.effects[effect]


def _quality(labelled: Rows, version: str, notes: list[str]) -> QualityFigures | None:
    if len(labelled) == 0:
        return None
    try:
        found = quality(labelled.labels, np.asarray(labelled.scores, np.float64))
    except Invalid as error:
        notes.append(f"quality{f' of {version}' if version else ''} could not be judged: {error}")
        return None
    auc = found.auc
    return QualityFigures(
        rows=found.rows,
        auc=None if auc is None else auc.value,
        auc_low=None if auc is None else auc.low,
        auc_high=None if auc is None else auc.high,
        log_loss=found.log_loss,
        brier=found.brier,
        base_rate=found.base_rate,
    )
