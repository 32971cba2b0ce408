"""Planning, starting and stopping A/B tests: the traffic is looked at, and the power analysis made, beforehand."""

from __future__ import annotations

import asyncio
import math

import msgspec
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_proto.serving.v1 import deployment_pb2

from modelog_monitoring.abtest.commands import AbTestCommand, CreateAbTest, Split, StartAbTest, StopAbTest
from modelog_monitoring.abtest.events import SHARES, AbPlan, AbTestEvent, SampleSize
from modelog_monitoring.abtest.state import AbTest
from modelog_monitoring.data.rows import to_moment
from modelog_monitoring.data.store import Flow, Kind, WindowStore
from modelog_monitoring.handle.ab_plan import check_asked, check_to_be_measured
from modelog_monitoring.handle.baseline import measure
from modelog_monitoring.peers import Serving

AbTestEntities = Entities[AbTest, AbTestCommand, AbTestEvent]
HALF = 0.5


class AbTests:
    """All A/B tests. Serving is asked in the name of the service while they run, so only of its own tenant."""

    def __init__(self, entities: AbTestEntities, serving: Serving, data: WindowStore, tenant: str) -> None:
        self._entities, self._serving, self._data, self._tenant = entities, serving, data, tenant

    async def create(self, name: str, plan: AbPlan, ctx: Context) -> int:
        """Plan a test; returns the position at which it then stands.

        Raises NotFound for a deployment that does not exist, AlreadyExists, or Invalid.
        """
        if ctx.tenant != self._tenant:
            raise Invalid.field("name", f"this monitoring service runs A/B tests of the tenant {self._tenant!r} only")
        check_asked(plan)
        deployment = await self._serving.deployment(plan.deployment)
        measured = None
        if plan.measure_s:
            check_to_be_measured(plan)
            measured = await asyncio.to_thread(measure, self._data, plan, ctx.tenant)
            plan = msgspec.structs.replace(plan, baseline=measured.mean, sd=measured.sd)
        plan = checked(plan)
        share_b = share_of(deployment, plan) or HALF
        needed = await asyncio.to_thread(_sample_size, plan, share_b)
        command = CreateAbTest(name, deployment.model, plan, share_b, needed, measured)
        return (await self._entities.handle(derived_id(ctx.tenant, name), command, ctx)).position

    async def start(self, name: str, ctx: Context) -> int:
        """Count predictions from now on; raises NotFound, or NotAllowed when not both versions have traffic."""
        test_id = derived_id(ctx.tenant, name)
        plan = (await self._entities.current(test_id)).state.definition.plan
        flow = Flow(Kind.PREDICTIONS, plan.deployment, ctx.tenant)
        since_us = await asyncio.to_thread(self._data.watermark, flow)
        command = StartAbTest(await self._split(plan), to_moment(since_us or 0))
        return (await self._entities.handle(test_id, command, ctx)).position

    async def _split(self, plan: AbPlan) -> Split | None:
        deployment = await self._serving.deployment(plan.deployment)
        share_b = share_of(deployment, plan)
        if share_b is None:
            return None
        needed = await asyncio.to_thread(_sample_size, plan, share_b)
        return Split(share_b, needed, to_moment(deployment.updated_at.ToMicroseconds()), deployment.position)

    async def stop(self, name: str, reason: str, ctx: Context) -> int:
        """End a test without a decision; raises NotFound, or NotAllowed when it is decided."""
        return (await self._entities.handle(derived_id(ctx.tenant, name), StopAbTest(reason), ctx)).position


def share_of(deployment: deployment_pb2.Deployment, plan: AbPlan) -> float | None:
    """Of the traffic of both versions the part that b has; None when one of them has none."""
    percents = {variant.version: variant.percent for variant in deployment.variants}
    a, b = percents.get(plan.a, 0.0), percents.get(plan.b, 0.0)
    return b / (a + b) if a > 0 and b > 0 else None


def checked(plan: AbPlan) -> AbPlan:
    """The plan with what follows from it filled in; raises Invalid, naming the field."""
    check_asked(plan)
    if plan.metric not in SHARES:
        if plan.sd <= 0:
            raise Invalid.field("sd", f"is needed for the {plan.metric}: about its standard deviation, above 0")
        return plan
    if not 0 < plan.baseline < 1:
        found = "" if plan.baseline == 0 else f" and is {plan.baseline:g}"
        raise Invalid.field(
            "baseline", f"is needed for the {plan.metric}: about the share of a, between 0 and 1{found}; for amounts, "
            "test the amount",
        )  # fmt: skip
    if not (plan.baseline + plan.min_effect < 1 or plan.baseline - plan.min_effect > 0):
        raise Invalid.field("min_effect", f"is {plan.min_effect:g}; from {plan.baseline:g} no share is so far")
    return msgspec.structs.replace(plan, sd=math.sqrt(plan.baseline * (1 - plan.baseline)))


def _sample_size(plan: AbPlan, share_b: float) -> SampleSize:
    # Imported when it is needed: scipy.stats takes longer to import than all the rest, and a restart must not wait.
    from modelog_monitoring.stats.ab import sample_size

    return sample_size(plan, share_b)
