"""modelog.serving.v1.Releases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.read.queries import Queries
from modelog_common.rpc.call import command_context, current_call
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.monitoring.v1 import abtest_pb2 as ab
from modelog_proto.serving.v1 import deployment_pb2
from modelog_proto.serving.v1 import release_pb2 as pb
from modelog_proto.serving.v1.release_pb2_grpc import ReleasesServicer as Contract

from modelog_serving.api.live import Live
from modelog_serving.deployment.decide import deployment_id
from modelog_serving.read.releases import CRITERIA, PATTERNS
from modelog_serving.read.tables import DEPLOYMENTS, LOOKS, RELEASES
from modelog_serving.release.plan import ALPHA, DAY_S, Criterion, OutcomePlan, Plan
from modelog_serving.releasing.control import ReleaseControl

FULL_NAME = "modelog.serving.v1.Releases"
_PATTERNS = {number: pattern for pattern, number in PATTERNS.items()}
_CRITERIA = {number: criterion for criterion, number in CRITERIA.items()}


class ReleasesServicer(Contract):
    """Releases of versions to deployments, and the way back."""

    def __init__(self, control: ReleaseControl, queries: Queries, live: Live, clock: Clock) -> None:
        self._control, self._queries, self._live, self._clock = control, queries, live, clock

    async def StartRelease(self, request: pb.StartReleaseRequest, context: Any) -> pb.Release:
        ctx = self._context(request.request_id, "StartRelease")
        plan = plan_of(request.plan)
        made = await self._control.start(request.deployment, request.version, plan, request.reason, ctx)
        return await self._release(request.deployment, made.state.number, ReadOptions(at_least=made.position))

    async def StopRelease(self, request: pb.StopReleaseRequest, context: Any) -> pb.Release:
        ctx = self._context(request.request_id, "StopRelease")
        made = await self._control.stop(request.deployment, request.reason, ctx)
        return await self._release(request.deployment, made.state.number, ReadOptions(at_least=made.position))

    async def GetRelease(self, request: pb.GetReleaseRequest, context: Any) -> pb.Release:
        return await self._release(request.deployment, request.number, request.read)

    async def ListReleases(self, request: pb.ListReleasesRequest, context: Any) -> pb.ListReleasesResponse:
        t = RELEASES.table.c
        where = [t.deployment == request.deployment] if request.deployment else []
        found = await self._queries.page(
            RELEASES, pb.Release, request.read, current_call().identity.tenant, request.page,
            where=where, order_by=[t.deployment, t.number.desc()],
        )  # fmt: skip
        return pb.ListReleasesResponse(releases=found.items, next_page_token=found.next_page_token)

    async def ListReleaseLooks(self, request: pb.ListReleaseLooksRequest, context: Any) -> pb.ListReleaseLooksResponse:
        release = await self._release(request.deployment, request.number, request.read)
        t = LOOKS.table.c
        where = [t.deployment == request.deployment, t.release == release.number]
        found = await self._queries.page(
            LOOKS, pb.ReleaseLook, request.read, current_call().identity.tenant, request.page,
            where=where, order_by=[t.place],
        )  # fmt: skip
        return pb.ListReleaseLooksResponse(looks=found.items, next_page_token=found.next_page_token)

    async def RollBack(self, request: pb.RollBackRequest, context: Any) -> deployment_pb2.Deployment:
        ctx = self._context(request.request_id, "RollBack")
        made = await self._control.roll_back(request.deployment, request.version, request.reason, ctx)
        read = ReadOptions(at_least=made.position)
        found = await self._queries.one(
            DEPLOYMENTS, deployment_pb2.Deployment, read, ctx.tenant, name=request.deployment
        )
        if found is None:
            raise NotFound(f"there is no deployment {request.deployment!r}")
        return self._live.seen(ctx.tenant, found)

    def _context(self, request_id: str, method: str) -> Context:
        """A request id counts for its caller and method: another one's "1" is another request."""
        ctx = command_context(self._clock, request_id)
        return replace(ctx, request_id=derived_id(ctx.actor, method, ctx.request_id))

    async def _release(self, name: str, number: int, read: ReadOptions) -> pb.Release:
        tenant = current_call().identity.tenant
        if number:
            key = f"{deployment_id(tenant, name)}/{number}"
            found = await self._queries.one(RELEASES, pb.Release, read, tenant, release_id=key)
        else:
            found = await self._last(name, read, tenant)
        if found is None:
            when = f" as of {read.as_of}" if read.as_of else ""
            raise NotFound(f"there is no release {number or ''}".rstrip() + f" to {name!r}{when}")
        return found

    async def _last(self, name: str, read: ReadOptions, tenant: str) -> pb.Release | None:
        t = RELEASES.table.c
        page = Page(size=1)
        found = await self._queries.page(
            RELEASES, pb.Release, read, tenant, page, where=[t.deployment == name], order_by=[t.number.desc()]
        )
        return found.items[0] if found.items else None


def plan_of(message: pb.ReleasePlan) -> Plan:
    """The plan that a request asks for."""
    return Plan(
        pattern=_PATTERNS[message.pattern],
        steps=tuple(message.steps),
        alpha=message.alpha or ALPHA,
        error_margin=message.error_margin if message.HasField("error_margin") else None,
        latency_margin=message.latency_margin if message.HasField("latency_margin") else None,
        latency_limit_ms=message.latency_limit_ms,
        outcome=_outcome_of(message.outcome) if message.HasField("outcome") else None,
        step_s=message.step_s,
        step_requests=message.step_requests,
        longest_s=message.longest_s or DAY_S,
    )


def _outcome_of(message: pb.ReleaseOutcome) -> OutcomePlan:
    method = ab.AbMethod.Name(message.method).removeprefix("AB_METHOD_").lower()
    return OutcomePlan(
        metric=ab.AbMetric.Name(message.metric).removeprefix("AB_METRIC_").lower(),
        effect=message.effect,
        criterion=_CRITERIA.get(message.criterion, Criterion.SUPERIOR),
        baseline=message.baseline,
        sd=message.sd,
        threshold=message.threshold,
        higher_is_better=message.higher_is_better,
        method="" if method == "unspecified" else method,
        lateness_s=message.lateness_s,
    )
