"""Asks monitoring for evidence from outcomes: each step of a release has an A/B test of its own there."""

from __future__ import annotations

from collections.abc import Callable

import grpc.aio
from modelog_common.domain.errors import ModelogError, NotFound
from modelog_common.domain.ids import derived_id
from modelog_proto.monitoring.v1 import abtest_pb2 as pb
from modelog_proto.monitoring.v1.abtest_pb2_grpc import AbTestsStub

from modelog_serving.release.events import Outcome, ReleaseStarted
from modelog_serving.release.plan import OutcomePlan, Plan

ENDED = (pb.AB_STATE_DECIDED, pb.AB_STATE_STOPPED)


class Outcomes:
    """Plans, starts, reads and ends the tests. Each call may be repeated: names and request ids are derived."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel]) -> None:
        self._channel = channel

    async def plan(self, deployment: str, number: int, step: int, versions: tuple[str, str], plan: Plan) -> None:
        """Plan the test of a step; raises Invalid where monitoring refuses the plan."""
        if plan.outcome is None:
            return
        name = test_name(deployment, number, step)
        request = _request(name, deployment, versions, plan, plan.outcome)
        await AbTestsStub(self._channel()).CreateAbTest(request)

    async def read(self, terms: ReleaseStarted, step: int) -> Outcome | None:
        """What the test of a step says; started if need be. None where the plan has none."""
        if terms.plan.outcome is None:
            return None
        stub, name = AbTestsStub(self._channel()), test_name(terms.name, terms.number, step)
        try:
            test = await stub.GetAbTest(pb.GetAbTestRequest(name=name))
        except NotFound:
            versions = (terms.incumbent.version, terms.candidate.version)
            await self.plan(terms.name, terms.number, step, versions, terms.plan)
            test = await stub.GetAbTest(pb.GetAbTestRequest(name=name))
        if test.state == pb.AB_STATE_DRAFT:
            request = pb.StartAbTestRequest(name=name, request_id=derived_id("release", name, "start"))
            test = await stub.StartAbTest(request)
        return _outcome(test)

    async def end(self, terms: ReleaseStarted, step: int, why: str) -> None:
        """End the test of a step that is left; what was decided, or never began, stays as it is."""
        if terms.plan.outcome is None:
            return
        name = test_name(terms.name, terms.number, step)
        try:
            test = await AbTestsStub(self._channel()).GetAbTest(pb.GetAbTestRequest(name=name))
            if test.state not in ENDED:
                await AbTestsStub(self._channel()).StopAbTest(pb.StopAbTestRequest(name=name, reason=why))
        except ModelogError:
            # Monitoring ends it by itself when it sees that the split has changed.
            return


def test_name(deployment: str, number: int, step: int) -> str:
    """The A/B test of a step, counted from 1 as people count."""
    return f"{deployment}.release-{number}.step-{step + 1}"


def _request(
    name: str, deployment: str, versions: tuple[str, str], plan: Plan, wanted: OutcomePlan
) -> pb.CreateAbTestRequest:
    return pb.CreateAbTestRequest(
        name=name,
        deployment=deployment,
        a=versions[0],
        b=versions[1],
        metric=pb.AbMetric.Value(f"AB_METRIC_{wanted.metric.upper()}"),
        threshold=wanted.threshold,
        higher_is_better=wanted.higher_is_better,
        min_effect=wanted.effect,
        alpha=plan.alpha / plan.tests,
        baseline=wanted.baseline,
        sd=wanted.sd,
        method=pb.AbMethod.Value(f"AB_METHOD_{(wanted.method or 'unspecified').upper()}"),
        allowed_lateness_s=wanted.lateness_s,
        request_id=derived_id("release", name, "create"),
    )


def _outcome(test: pb.AbTest) -> Outcome:
    seen = test.latest
    return Outcome(
        test=test.name,
        events_incumbent=seen.events_a,
        events_candidate=seen.events_b,
        mean_incumbent=seen.mean_a,
        mean_candidate=seen.mean_b,
        estimate=seen.estimate,
        low=seen.low if seen.HasField("low") else None,
        high=seen.high if seen.HasField("high") else None,
        p_value=seen.p_value if test.HasField("latest") else 1.0,
        ended=test.reason if test.state in ENDED else "",
    )
