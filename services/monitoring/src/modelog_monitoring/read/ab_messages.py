"""From A/B tests and their events to the messages that queries answer with."""

from __future__ import annotations

from modelog_proto.monitoring.v1 import abtest_pb2 as pb

from modelog_monitoring.abtest.events import AbMethod, AbMetric, AbTestLooked, Measured, Verdict
from modelog_monitoring.abtest.state import AbPhase, AbTest
from modelog_monitoring.read.moments import timestamp

METRICS = {
    AbMetric.ERROR: pb.AB_METRIC_ERROR,
    AbMetric.SQUARED_ERROR: pb.AB_METRIC_SQUARED_ERROR,
    AbMetric.LOG_LOSS: pb.AB_METRIC_LOG_LOSS,
    AbMetric.OUTCOME: pb.AB_METRIC_OUTCOME,
    AbMetric.AMOUNT: pb.AB_METRIC_AMOUNT,
    AbMetric.ABSOLUTE_ERROR: pb.AB_METRIC_ABSOLUTE_ERROR,
}
METHODS = {
    AbMethod.MIXTURE_SPRT: pb.AB_METHOD_MIXTURE_SPRT,
    AbMethod.CONFIDENCE_SEQUENCE: pb.AB_METHOD_CONFIDENCE_SEQUENCE,
    AbMethod.EXACT: pb.AB_METHOD_EXACT,
}
STATES = {
    AbPhase.DRAFT: pb.AB_STATE_DRAFT,
    AbPhase.RUNNING: pb.AB_STATE_RUNNING,
    AbPhase.DECIDED: pb.AB_STATE_DECIDED,
    AbPhase.STOPPED: pb.AB_STATE_STOPPED,
}
VERDICTS = {
    Verdict.A_BETTER: pb.AB_VERDICT_A_BETTER,
    Verdict.B_BETTER: pb.AB_VERDICT_B_BETTER,
    Verdict.NO_DIFFERENCE: pb.AB_VERDICT_NO_DIFFERENCE,
    Verdict.INCONCLUSIVE: pb.AB_VERDICT_INCONCLUSIVE,
}


def ab_test_message(test: AbTest, position: int) -> pb.AbTest:
    about, started = test.definition, test.started
    plan = about.plan
    needed = about.needed if started is None else started.needed
    message = pb.AbTest(
        id=about.test_id,
        name=about.name,
        deployment=plan.deployment,
        model=about.model,
        a=plan.a,
        b=plan.b,
        metric=METRICS[plan.metric],
        threshold=plan.threshold,
        higher_is_better=plan.higher_is_better,
        min_effect=plan.min_effect,
        alpha=plan.alpha,
        power=plan.power,
        baseline=plan.baseline,
        sd=plan.sd,
        method=METHODS[plan.method],
        allowed_lateness_s=plan.allowed_lateness_s,
        state=STATES[test.phase],
        share_b=about.share_b if started is None else started.share_b,
        needed=pb.AbSampleSize(a=needed.a, b=needed.b, watched=needed.watched),
        author=about.author,
        created_at=timestamp(about.at),
        position=position,
        lowest=plan.lowest,
        highest=plan.highest,
        longest_s=plan.longest_s,
        measure_s=plan.measure_s,
        measured=None if about.measured is None else measured_message(about.measured),
    )
    if started is not None:
        message.started_by = started.by
        message.started_at.CopyFrom(timestamp(started.at))
        if started.ends_by is not None:
            message.ends_by.CopyFrom(timestamp(started.ends_by))
    if test.looked is not None:
        message.latest.CopyFrom(look_message(test.looked))
    if test.decided is not None:
        message.verdict, message.reason = VERDICTS[test.decided.verdict], test.decided.reason
        message.ended_at.CopyFrom(timestamp(test.decided.at))
    if test.stopped is not None:
        message.reason = f"stopped by {test.stopped.by}: {test.stopped.reason}"
        message.ended_at.CopyFrom(timestamp(test.stopped.at))
    return message


def measured_message(found: Measured) -> pb.AbMeasured:
    return pb.AbMeasured(
        since=timestamp(found.since), until=timestamp(found.until), events=found.events, mean=found.mean, sd=found.sd
    )


def look_message(looked: AbTestLooked, position: int = 0) -> pb.AbLook:
    figures = looked.figures
    return pb.AbLook(
        test=looked.name,
        number=looked.number,
        until=timestamp(looked.until),
        events_a=figures.events_a,
        events_b=figures.events_b,
        mean_a=figures.mean_a,
        mean_b=figures.mean_b,
        estimate=figures.estimate,
        low=figures.low,
        high=figures.high,
        p_value=figures.p_value,
        at=timestamp(looked.at),
        position=position,
    )
