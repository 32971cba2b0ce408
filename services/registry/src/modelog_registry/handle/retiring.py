"""Retires versions by the rules of each tenant: every hour, and when somebody asks.

What a policy says of a model on a day is one command, whose id is made of them: asked twice, it is once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.handle.models import Models
from modelog_registry.retirement.policy import RetirementPolicy, RetirementPolicySet, SetRetirement, retirement_id

ACTOR = "service:registry"
PERIOD_S = 3600.0
# The tenants that have rules, or had, and the ids of a tenant's models.
TenantsOf = Callable[[], Awaitable[Sequence[str]]]
ModelsOf = Callable[[str], Awaitable[Sequence[str]]]


class Retiring:
    """The retirement policies of all tenants, and what follows from them."""

    def __init__(
        self,
        policies: Entities[RetirementPolicy, SetRetirement, RetirementPolicySet],
        models: Models,
        tenants: TenantsOf,
        ids: ModelsOf,
        clock: Clock,
    ) -> None:
        self._policies, self._models, self._tenants, self._ids = policies, models, tenants, ids
        self._clock = clock

    async def set_policy(self, command: SetRetirement, ctx: Context) -> int:
        """Put rules in force; the position at which the policy then stands, 0 when it is still the first."""
        return (await self._policies.handle(retirement_id(ctx.tenant), command, ctx)).position

    async def run(self) -> None:
        """Look at all models, again and again."""
        while True:
            for tenant in await self._tenants():
                # Where others kept changing a model, the next look comes in an hour.
                with suppress(Conflict):
                    await self.check(tenant)
            await asyncio.sleep(PERIOD_S)

    async def check(self, tenant: str) -> tuple[int, int, int]:
        """Look at a tenant's models: how many there are, in how many something happened, and the last position."""
        policy = (await self._policies.load(retirement_id(tenant))).state.in_force
        models = await self._ids(tenant)
        changed, last = 0, 0
        for model_id in models:
            now = self._clock.now()
            request = derived_id("retirement", tenant, model_id, str(policy.version), now.date().isoformat())
            ctx = Context(now, ACTOR, tenant, request)
            anything, position = await self._models.review_retirements(model_id, policy, ctx)
            changed, last = changed + anything, max(last, position)
        return len(models), changed, last
