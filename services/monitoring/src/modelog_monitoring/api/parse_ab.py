"""From a request to the plan of an A/B test; a value of 0 takes the default that the contract names."""

from __future__ import annotations

from modelog_common.domain.errors import Invalid
from modelog_proto.monitoring.v1 import abtest_pb2 as pb

from modelog_monitoring.abtest.events import AMOUNTS, AbMethod, AbPlan
from modelog_monitoring.read.ab_messages import METHODS, METRICS

_METRICS = {number: metric for metric, number in METRICS.items()}
_METHODS = {number: method for method, number in METHODS.items()}
THRESHOLD = 0.5
ALPHA = 0.05
POWER = 0.8


def plan_of(request: pb.CreateAbTestRequest) -> AbPlan:
    """Raises Invalid for a metric or method that this release does not know."""
    if request.metric not in _METRICS:
        raise Invalid.field("metric", f"{request.metric} is not a metric; there are {', '.join(METRICS)}")
    metric = _METRICS[request.metric]
    usual = AbMethod.CONFIDENCE_SEQUENCE if metric in AMOUNTS else AbMethod.MIXTURE_SPRT
    methods = {**_METHODS, pb.AB_METHOD_UNSPECIFIED: usual}
    if request.method not in methods:
        raise Invalid.field("method", f"{request.method} is not a method; there are {', '.join(METHODS)}")
    return AbPlan(
        deployment=request.deployment,
        a=request.a,
        b=request.b,
        metric=metric,
        threshold=request.threshold or THRESHOLD,
        higher_is_better=request.higher_is_better,
        min_effect=request.min_effect,
        alpha=request.alpha or ALPHA,
        power=request.power or POWER,
        baseline=request.baseline,
        sd=request.sd,
        method=methods[request.method],
        allowed_lateness_s=request.allowed_lateness_s,
        lowest=request.lowest if request.HasField("lowest") else None,
        highest=request.highest if request.HasField("highest") else None,
        longest_s=request.longest_s,
        measure_s=request.measure_s,
    )
