"""Starts, stops and undoes releases: asks the registry, loads the model, decides, and only then moves the traffic."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.events.entities import Loaded

from modelog_serving.control import Control, DeploymentEntities
from modelog_serving.deployment.commands import Candidate, RollBack
from modelog_serving.deployment.decide import check, deployment_id, words_of
from modelog_serving.deployment.signature import difference
from modelog_serving.deployment.state import STOPPED, Deployment
from modelog_serving.oip.core import Versions
from modelog_serving.release.commands import RollBackRelease, StartRelease, StopRelease
from modelog_serving.release.events import Served
from modelog_serving.release.plan import Plan, checked
from modelog_serving.release.state import Release
from modelog_serving.releasing.board import Board, Owned
from modelog_serving.releasing.outcomes import Outcomes
from modelog_serving.releasing.traffic import Mover
from modelog_serving.releasing.watch import ReleaseEntities, ReleaseWatch, counts_of
from modelog_serving.routing.meter import Meter
from modelog_serving.traffic.latency import SCALE

# Of so many answers of the incumbent a limit of latency is measured, and which of them it is.
FEWEST_ANSWERS, QUANTILE = 100, 0.99


class ReleaseControl:
    """Handles commands. When one returns, requests are answered by what it decided."""

    def __init__(
        self,
        control: Control,
        deployments: DeploymentEntities,
        releases: ReleaseEntities,
        versions: Versions,
        board: Board,
        watch: ReleaseWatch,
        mover: Mover,
        outcomes: Outcomes,
        meter: Meter,
    ) -> None:
        self._control, self._deployments, self._releases, self._versions = control, deployments, releases, versions
        self._board, self._watch, self._mover, self._outcomes, self._meter = board, watch, mover, outcomes, meter

    async def start(self, name: str, version: str, plan: Plan, reason: str, ctx: Context) -> Loaded[Release]:
        """Begin to give a version the traffic. Nothing changes unless it may answer and its model is loaded."""
        entity = deployment_id(ctx.tenant, name)
        deployment = await self._running(entity, name)
        plan = checked(plan)
        candidate = await self._versions.get(deployment.model, version)
        _check(deployment, candidate)
        await self._control.load(candidate, ctx.tenant)
        before = (await self._releases.current(entity)).state
        if len(deployment.split) != 1 and not before.running:
            raise NotAllowed(
                f"the traffic of {name} is {words_of(deployment.split)}; it begins where one version has all of it"
            )
        incumbent = next(v for v in deployment.variants if v.percent)
        plan = self._with_limit(plan, deployment, incumbent.version)
        command = StartRelease(
            deployment_id=entity,
            name=name,
            model=deployment.model,
            incumbent=Served(incumbent.version, incumbent.digest, incumbent.flavor),
            candidate=Served(candidate.version, candidate.digest, candidate.flavor),
            plan=plan,
            baseline=counts_of(self._meter, entity, incumbent.version, plan.latency_limit_ms),
            reason=reason,
        )
        # What is refused is refused before a test of outcomes is planned for it.
        self._releases.decider.decide(before, command, ctx)
        await self._outcomes.plan(name, before.number + 1, 0, (incumbent.version, candidate.version), plan)
        return await self._handle(entity, command, ctx)

    async def stop(self, name: str, reason: str, ctx: Context) -> Loaded[Release]:
        """End the running release; the traffic stays as it is."""
        entity = deployment_id(ctx.tenant, name)
        release = (await self._releases.current(entity)).state
        if release.started is None:
            raise NotFound(f"there is no release to {name!r}")
        return await self._handle(entity, StopRelease(release.number, release.evidence, reason), ctx)

    async def roll_back(self, name: str, version: str, reason: str, ctx: Context) -> Loaded[Deployment]:
        """Give all of the traffic to an earlier version at once; a running release ends."""
        entity = deployment_id(ctx.tenant, name)
        await self._running(entity, name)
        release = (await self._releases.current(entity)).state
        if release.running:
            incumbent = release.terms.incumbent.version
            if version == release.terms.candidate.version:
                raise NotAllowed(f"{version} is being released to {name} now; it is not an earlier version")
            await self._mover.earlier(entity, version)
            await self._handle(entity, RollBackRelease(release.number, release.evidence, reason), ctx)
            if version in ("", incumbent):
                return await self._deployments.current(entity)
        return await self._mover.roll_back(
            entity, RollBack(name, version, reason or f"rolled back by {ctx.actor}"), ctx
        )

    async def _running(self, entity: str, name: str) -> Deployment:
        deployment = (await self._deployments.current(entity)).state
        if not deployment.status:
            raise NotFound(f"there is no deployment {name!r}")
        if deployment.status == STOPPED:
            raise NotAllowed(f"deployment {name} was stopped; its traffic cannot be set any more")
        return deployment

    async def _handle(
        self, entity: str, command: StartRelease | StopRelease | RollBackRelease, ctx: Context
    ) -> Loaded[Release]:
        handled = await self._releases.handle(entity, command, ctx)
        await self._board.catch_up()
        await self._watch.move(Owned(ctx.tenant, entity, handled.state))
        # Whoever waits for this position sees the traffic that was set, too.
        moved = (await self._deployments.current(entity)).position
        return replace(handled, position=max(handled.position, moved))

    def _with_limit(self, plan: Plan, deployment: Deployment, incumbent: str) -> Plan:
        """The plan with the latency that 99 of 100 answers of the incumbent stayed below, where none is given."""
        if plan.latency_margin is None or plan.latency_limit_ms:
            return plan
        buckets, _ = self._meter.latencies(deployment.id, incumbent)
        answers = buckets.total()
        if answers < FEWEST_ANSWERS:
            raise Invalid.field(
                "plan.latency_limit_ms", f"is needed: only {answers} answers of {incumbent} were measured since this "
                f"process started, and a limit is taken of {FEWEST_ANSWERS} or more",
            )  # fmt: skip
        seen = 0
        for bucket in sorted(buckets):
            seen += buckets[bucket]
            if seen >= math.ceil(QUANTILE * answers):
                return msgspec.structs.replace(plan, latency_limit_ms=2 ** (bucket / SCALE))
        raise AssertionError("a quantile lies within what was counted")


def _check(deployment: Deployment, candidate: Candidate) -> None:
    check(candidate, deployment.environment, "version")
    other = difference(deployment.signature, candidate.signature)
    if other:
        raise NotAllowed(
            f"version: {candidate.model} {candidate.version} cannot answer for deployment {deployment.name}: {other}. "
            "Its callers rely on the signature; make a new deployment for another one"
        )
