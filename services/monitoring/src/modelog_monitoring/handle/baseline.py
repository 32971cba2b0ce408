"""Measures, before an A/B test, the mean and the standard deviation of its figure for version a."""

from __future__ import annotations

import numpy as np
from modelog_common.domain.errors import Invalid

from modelog_monitoring.abtest.events import AbPlan, Measured
from modelog_monitoring.data.rows import Span, read_rows, to_moment
from modelog_monitoring.data.store import Flow, Kind, WindowStore

# A standard deviation of so few is good to about a tenth.
FEWEST = 100
# What is measured is held in memory.
MOST = 1_000_000


def measure(data: WindowStore, plan: AbPlan, tenant: str) -> Measured:
    """Over the last `measure_s` of event time whose outcomes are due; raises Invalid where that says too little."""
    flow = Flow(Kind.PREDICTIONS, plan.deployment, tenant)
    lateness_us = round(plan.allowed_lateness_s * 1_000_000)
    marks = [data.watermark(flow), data.watermark(Flow(Kind.OUTCOMES, plan.deployment, tenant))]
    predictions_us, outcomes_us = (mark or 0 for mark in marks)
    until_us = max(0, min(predictions_us, outcomes_us - lateness_us))
    since_us = max(0, until_us - round(plan.measure_s * 1_000_000))
    if (most := data.rows_between(flow, since_us, until_us, plan.a)) > MOST:
        raise Invalid.field("measure_s", f"reaches over {most:,} predictions; {MOST:,} are measured at most")
    rows = read_rows(data, flow, Span(since_us, until_us, until_us + lateness_us), (), plan.a)
    outcomes = rows.outcome(amounts=plan.of_amounts)
    known = ~np.isnan(outcomes)
    # Imported when it is needed: scipy takes longer to import than all the rest, and a restart must not wait.
    from modelog_monitoring.stats.ab import values_of

    values = values_of(plan, rows.scores[known].astype(np.float64), outcomes[known])
    found = f"{len(values):,} predictions of {plan.a} with a known {plan.metric}"
    if len(values) < FEWEST:
        raise Invalid.field(
            "measure_s", f"found {found} from {to_moment(since_us):%Y-%m-%d %H:%M:%S} to "
            f"{to_moment(until_us):%Y-%m-%d %H:%M:%S} UTC; {FEWEST} are needed: take a longer time, or give baseline "
            "and sd",
        )  # fmt: skip
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    if not 0 < sd < np.inf:
        raise Invalid.field("measure_s", f"found {found}, which differ by {sd:g}: give baseline and sd")
    return Measured(to_moment(since_us), to_moment(until_us), len(values), mean, sd)
