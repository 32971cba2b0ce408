"""Retirements and service level targets as messages, and the registry's answers about them, as of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from modelog_common.domain.errors import Invalid
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2, sla_pb2
from modelog_proto.registry.v1 import retire_pb2 as pb
from sqlalchemy import select

from modelog_registry.model.retired import Retirement, RetirementState, SlaSet, SlaTargets
from modelog_registry.model.version import Version
from modelog_registry.read.messages import STAGE_OF, STAGES, timestamp
from modelog_registry.read.models.model_tables import MODELS, RETIREMENT_POLICIES, RETIREMENTS, SLAS, called
from modelog_registry.read.queries import TableQueries, existing
from modelog_registry.retirement.policy import RetirementPolicySet
from modelog_registry.retiring import Condition, RetirementRule

STATES = {
    RetirementState.ANNOUNCED: pb.RETIREMENT_STATE_ANNOUNCED,
    RetirementState.OBJECTED: pb.RETIREMENT_STATE_OBJECTED,
    RetirementState.CALLED_OFF: pb.RETIREMENT_STATE_CALLED_OFF,
    RetirementState.ARCHIVED: pb.RETIREMENT_STATE_ARCHIVED,
}
CONDITIONS = {
    Condition.UNUSED: pb.RETIREMENT_CONDITION_UNUSED,
    Condition.SUPERSEDED: pb.RETIREMENT_CONDITION_SUPERSEDED,
}
STATE_OF = {number: state for state, number in STATES.items()}
_CONDITION_OF = {number: condition for condition, number in CONDITIONS.items()}


def retirement_message(version: Version, retirement: Retirement, position: int) -> pb.Retirement:
    announced = retirement.announced
    return pb.Retirement(
        model=version.content.model,
        version=announced.version,
        stage=STAGES[version.stage],
        state=STATES[retirement.state],
        reason=announced.reason,
        announced_at=timestamp(announced.at),
        due=timestamp(announced.due),
        policy_version=announced.policy_version,
        ended_by=retirement.ended_by,
        ended_at=timestamp(retirement.ended_at) if retirement.ended_at is not None else None,
        ended_because=retirement.ended_because,
        position=position,
    )


def retirement_policy_message(event: RetirementPolicySet, position: int) -> pb.RetirementPolicy:
    rules = [
        pb.RetirementRule(
            stage=STAGES[rule.stage],
            condition=CONDITIONS[rule.condition],
            after_days=rule.after_days,
            announce_days=rule.announce_days,
        )
        for rule in event.rules
    ]
    at = timestamp(event.at)
    return pb.RetirementPolicy(
        version=event.version, rules=rules, reason=event.reason, by=event.by, at=at, position=position
    )


def retirement_rules_of(rules: Sequence[pb.RetirementRule]) -> tuple[RetirementRule, ...]:
    """Raises Invalid, naming the field, for what is no stage or no condition."""
    found = []
    for n, rule in enumerate(rules):
        stage, condition = STAGE_OF.get(rule.stage), _CONDITION_OF.get(rule.condition)
        if stage is None:
            raise Invalid.field(f"rules[{n}].stage", "is no stage")
        if condition is None:
            raise Invalid.field(f"rules[{n}].condition", "is no condition; use unused or superseded")
        found.append(RetirementRule(stage, condition, rule.after_days, rule.announce_days))
    return tuple(found)


def sla_message(event: SlaSet, position: int) -> sla_pb2.ModelSla:
    targets = event.targets
    return sla_pb2.ModelSla(
        model=event.model,
        version=event.number,
        targets=sla_pb2.SlaTargets(
            latency_p50_ms=targets.latency_p50_ms,
            latency_p99_ms=targets.latency_p99_ms,
            availability_percent=targets.availability_percent,
            freshness_hours=targets.freshness_hours,
        ),
        reason=event.reason,
        by=event.by,
        at=timestamp(event.at),
        position=position,
    )


def targets_of(message: sla_pb2.SlaTargets) -> SlaTargets:
    return SlaTargets(
        message.latency_p50_ms if message.HasField("latency_p50_ms") else None,
        message.latency_p99_ms if message.HasField("latency_p99_ms") else None,
        message.availability_percent if message.HasField("availability_percent") else None,
        message.freshness_hours if message.HasField("freshness_hours") else None,
    )


class RetirementQueries(TableQueries):
    """Queries over the read tables. What does not exist as of the moment raises NotFound, which names it."""

    async def policy(self, version: int | None, read: ReadOptions, tenant: str) -> pb.RetirementPolicy:
        """One version, or for None the one in force; raises NotFound."""
        if version == 0:
            return pb.RetirementPolicy()
        if version is None:
            t = RETIREMENT_POLICIES.table.c
            page, order = common.Page(size=1), [t.number.desc()]
            newest = await self._queries.page(
                RETIREMENT_POLICIES, pb.RetirementPolicy, read, tenant, page, order_by=order
            )
            return newest.items[0] if newest.items else pb.RetirementPolicy()
        found = await self._queries.one(RETIREMENT_POLICIES, pb.RetirementPolicy, read, tenant, version=str(version))
        return existing(found, f"there is no version {version} of the retirement policy", read)

    async def retirement(self, model: str, version: str, read: ReadOptions, tenant: str) -> pb.Retirement:
        found = await self._queries.one(RETIREMENTS, pb.Retirement, read, tenant, model=model, version=version)
        return existing(found, f"no retirement of {model!r} {version} was ever announced", read)

    async def retirements(
        self, model: str, state: RetirementState | None, page: Page, read: ReadOptions, tenant: str
    ) -> Found[pb.Retirement]:
        """Those that are due first, first."""
        t = RETIREMENTS.table.c
        where = [t.model == model] if model else []
        where += [t.state == state.value] if state is not None else []
        return await self._queries.page(
            RETIREMENTS, pb.Retirement, read, tenant, page, where=where, order_by=[t.due_us]
        )

    async def sla(self, model: str, read: ReadOptions, tenant: str) -> sla_pb2.ModelSla:
        """The targets in force; none when nobody set any. Raises NotFound for a model that is not there."""
        named = await self._queries.one(MODELS, model_pb2.Model, read, tenant, name=model)
        existing(named, f"there is no model {model!r}", read)
        newest = await self.slas(model, common.Page(size=1), read, tenant)
        return newest.items[0] if newest.items else sla_pb2.ModelSla(model=model)

    async def slas(self, model: str, page: Page, read: ReadOptions, tenant: str) -> Found[sla_pb2.ModelSla]:
        """All versions of one model's targets or, for an empty name, of all; newest first."""
        t = SLAS.table.c
        where = partial(called, t.entity, model, tenant) if model else ()
        order_by = [t.at_position.desc()]
        return await self._queries.page(SLAS, sla_pb2.ModelSla, read, tenant, page, where=where, order_by=order_by)

    async def tenants(self) -> Sequence[str]:
        """Those that ever set rules."""
        await self._queries.moment(common.ReadOptions())
        t = RETIREMENT_POLICIES.table.c
        found = await self._queries.fetch(select(t.tenant).where(RETIREMENT_POLICIES.at(None)).distinct())
        return sorted(row.tenant for row in found)

    async def models(self, tenant: str) -> Sequence[str]:
        """The ids of a tenant's models, by name."""
        t = MODELS.table.c
        found = select(t.entity).where(MODELS.at(None), t.tenant == tenant).order_by(t.name)
        return [row.entity for row in await self._queries.fetch(found)]
