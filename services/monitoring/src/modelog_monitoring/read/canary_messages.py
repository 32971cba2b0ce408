"""Canaries as answers: what they must prove, and what was known of them at each look."""

from __future__ import annotations

from modelog_proto.monitoring.v1 import monitoring_pb2 as pb

from modelog_monitoring.read.moments import timestamp
from modelog_monitoring.retraining.events import CanaryLooked, CanaryVerdict
from modelog_monitoring.retraining.state import Retraining

VERDICTS = {
    CanaryVerdict.UNDECIDED: pb.CANARY_VERDICT_UNDECIDED,
    CanaryVerdict.BETTER: pb.CANARY_VERDICT_BETTER,
    CanaryVerdict.NOT_WORSE: pb.CANARY_VERDICT_NOT_WORSE,
    CanaryVerdict.WORSE: pb.CANARY_VERDICT_WORSE,
    CanaryVerdict.NOT_PROVED: pb.CANARY_VERDICT_NOT_PROVED,
}


def canary_plan_message(retraining: Retraining) -> pb.CanaryPlan:
    terms, test = retraining.terms, retraining.canary_test
    return pb.CanaryPlan(percent=terms.canary_percent, rows=terms.canary_rows, alpha=test.alpha, margin=test.margin)


def canary_look_message(looked: CanaryLooked, position: int = 0) -> pb.CanaryLook:
    figures = looked.figures
    return pb.CanaryLook(
        retraining=looked.retraining_id,
        number=looked.number,
        rows=figures.rows,
        champion_brier=figures.champion_brier,
        challenger_brier=figures.challenger_brier,
        gain=figures.gain,
        low=figures.low,
        high=figures.high,
        verdict=VERDICTS[looked.verdict],
        until=timestamp(looked.until),
        at=timestamp(looked.at),
        position=position,
    )
