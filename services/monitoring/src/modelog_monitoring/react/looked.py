"""From two models' scores on the rows of a canary to the look that a retraining records."""

from __future__ import annotations

import numpy as np

from modelog_monitoring.data.rows import Floats64
from modelog_monitoring.react.canary_rows import DueRows
from modelog_monitoring.retraining.commands import RecordCanaryLook
from modelog_monitoring.retraining.state import Retraining
from modelog_monitoring.stats.canary import counted


def look_of(retraining: Retraining, due: DueRows, champion: Floats64) -> RecordCanaryLook:
    """The next look: the champion's scores (rows,) are counted in beside what was answered. Raises Invalid."""
    looked, rows = retraining.looked, due.rows
    before = None if looked is None else looked.figures
    answered = np.asarray(rows.scores, np.float64)
    figures = counted(before, retraining.canary_test.alpha, rows.labels, champion, answered)
    return RecordCanaryLook(1 if looked is None else looked.number + 1, due.until, figures)
