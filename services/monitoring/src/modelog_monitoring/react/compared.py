"""From two models' scores on the same labelled rows to the comparison that a retraining records."""

from __future__ import annotations

from modelog_monitoring.data.rows import Floats64, Rows, to_moment
from modelog_monitoring.retraining.events import Comparison, Difference
from modelog_monitoring.stats import compare


def comparison_of(rows: Rows, champion: Floats64, challenger: Floats64) -> Comparison:
    """Both models' scores (rows,) on the same labelled rows, compared in pairs; raises Invalid as `compare` does."""
    found = compare.compare(rows.labels, champion, challenger)
    return Comparison(
        rows=len(rows),
        auc=_difference(found.auc),
        log_loss=_difference(found.log_loss),
        since=to_moment(int(rows.event_times_us[0])),
        until=to_moment(int(rows.event_times_us[-1])),
    )


def _difference(found: compare.Difference | None) -> Difference | None:
    if found is None:
        return None
    return Difference(found.champion, found.challenger, found.value, found.low, found.high, found.p_value)
