"""Watches running releases: counts requests, reads outcomes, hands evidence in, moves the traffic as decided."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import ModelogError, NotAllowed, NotFound
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities

from modelog_serving.deployment.decide import words_of
from modelog_serving.deployment.state import Deployment
from modelog_serving.engine.models import ModelRef
from modelog_serving.release.commands import RecordEvidence, ReleaseCommand, StopRelease
from modelog_serving.release.events import NO_REQUESTS, Counts, Evidence, Mirrored, Outcome, ReleaseEvent
from modelog_serving.release.plan import Pattern
from modelog_serving.release.state import Phase, Release
from modelog_serving.releasing.board import Board, Owned
from modelog_serving.releasing.mirror import Mirror, Shadow
from modelog_serving.releasing.outcomes import Outcomes
from modelog_serving.releasing.traffic import ACTOR, Mover
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Routes
from modelog_serving.traffic.latency import bucket_of

if TYPE_CHECKING:
    from modelog_serving.release.evidence import StepTests

LOOK_S = 0.2
log = structlog.get_logger()
ReleaseEntities = Entities[Release, ReleaseCommand, ReleaseEvent]


@dataclass
class _Step:
    """What is counted of one step of a release; `incumbent` and `candidate` are what was counted in already.

    `mirrored` is what was known of a shadow when this process began to watch.
    """

    number: int
    step: int
    tests: StepTests
    incumbent: Counts
    candidate: Counts
    mirrored: Mirrored | None


class ReleaseWatch:
    """`run` it as a task of its own. What it knows and the log does not are requests since the last look.

    After a restart those count no more, which makes no test wrong: only the evidence comes later.
    """

    def __init__(
        self, releases: ReleaseEntities, board: Board, mover: Mover, outcomes: Outcomes, routes: Routes, meter: Meter,
        mirror: Mirror, clock: Clock,
    ) -> None:  # fmt: skip
        self._releases, self._board, self._mover, self._outcomes = releases, board, mover, outcomes
        self._routes, self._meter, self._mirror, self._clock = routes, meter, mirror, clock
        self._steps: dict[str, _Step] = {}
        self._moved: dict[str, tuple[int, Phase, int]] = {}

    async def run(self) -> None:
        """Watch until cancelled. A release that cannot be looked at now is looked at again; the others go on."""
        while True:
            await self._board.catch_up()
            for owned in self._board.last():
                try:
                    await self.look(owned)
                except ModelogError as error:
                    log.warning("release was not looked at", deployment=owned.release.terms.name, error=str(error))
            await asyncio.sleep(LOOK_S)

    async def look(self, owned: Owned) -> None:
        """Bring the traffic to where the release is; while it runs, hand in what is known."""
        if not await self.move(owned):
            return
        if not owned.release.running:
            self._mirror.lift(owned.deployment_id)
            return
        why = self._interrupted(owned)
        if why:
            await self._stop(owned, why)
            return
        evidence = await self.evidence(owned)
        await self._handle(owned, RecordEvidence(owned.release.number, evidence))

    async def move(self, owned: Owned) -> bool:
        """Set the traffic that the release wants, if that was not done; False when the release ended over it."""
        release = owned.release
        key = (release.number, release.phase, release.step)
        if self._moved.get(owned.deployment_id) == key:
            return True
        try:
            await self._mover.apply(owned)
        except (NotAllowed, NotFound) as error:
            if release.running:
                await self._stop(owned, str(error))
            else:
                log.warning("the traffic stays as it is", deployment=release.terms.name, why=str(error))
            self._moved[owned.deployment_id] = key
            return False
        self._moved[owned.deployment_id] = key
        await self._leave(owned)
        return True

    async def _leave(self, owned: Owned) -> None:
        """End the A/B test of the step that was left."""
        release = owned.release
        left = release.step - 1 if release.running else release.step
        if left >= 0:
            await self._outcomes.end(release.terms, left, f"the release is {release.phase}: {release.reason}")

    def _interrupted(self, owned: Owned) -> str:
        """Why the release cannot go on: somebody else set the traffic or stopped the deployment."""
        try:
            deployment: Deployment = self._routes.find(owned.tenant, owned.release.terms.name).deployment
        except ModelogError as error:
            return str(error)
        if deployment.split == owned.release.split():
            return ""
        return f"the traffic was set to {words_of(deployment.split)} by somebody else"

    async def evidence(self, owned: Owned) -> Evidence:
        """All that is known in the present step now."""
        # Imported when it is needed: scipy takes longer to import than all the rest, and a restart must not wait.
        step = self._steps.get(owned.deployment_id)
        release = owned.release
        if step is None or (step.number, step.step) != (release.number, release.step):
            step = self._steps[owned.deployment_id] = await asyncio.to_thread(self._begin, owned)
        incumbent, candidate = self._totals(owned)
        mirrored = self._mirrored(owned, step)
        new = _less(incumbent, step.incumbent), _less(candidate, step.candidate)
        if any(counts.requests for counts in new):
            step.tests = await asyncio.to_thread(step.tests.add, *new)
            step.incumbent, step.candidate = incumbent, candidate
        outcome = await self._read_outcome(owned)
        return await asyncio.to_thread(step.tests.evidence, release.step, outcome, mirrored)

    def _begin(self, owned: Owned) -> _Step:
        from modelog_serving.release.evidence import begun

        release, plan = owned.release, owned.release.terms.plan
        # A shadow of the release before may be there still.
        self._mirror.lift(owned.deployment_id)
        before = release.evidence if release.evidence.step == release.step else None
        seen = before is not None and before.candidate.requests + before.incumbent.requests > 0
        tests = begun(plan, before)
        if not seen and release.percent == 100:
            # Nobody is left to compare with but the incumbent as it was before.
            tests = tests.add(release.terms.baseline, NO_REQUESTS)
        mirrored = None if before is None else before.mirrored
        return _Step(release.number, release.step, tests, *self._totals(owned), mirrored)

    def _totals(self, owned: Owned) -> tuple[Counts, Counts]:
        terms = owned.release.terms
        limit_ms = terms.plan.latency_limit_ms
        incumbent = counts_of(self._meter, owned.deployment_id, terms.incumbent.version, limit_ms)
        if terms.plan.pattern is Pattern.SHADOW:
            return incumbent, self._shadow(owned).counts(limit_ms)
        return incumbent, counts_of(self._meter, owned.deployment_id, terms.candidate.version, limit_ms)

    def _shadow(self, owned: Owned) -> Shadow:
        candidate = owned.release.terms.candidate
        deployment = self._routes.find(owned.tenant, owned.release.terms.name).deployment
        ref = ModelRef(candidate.digest, candidate.flavor, deployment.signature, approved=True)
        return self._mirror.cast(owned.deployment_id, ref)

    def _mirrored(self, owned: Owned, step: _Step) -> Mirrored | None:
        """What the shadow's answers were like, those before a restart with them."""
        if owned.release.terms.plan.pattern is not Pattern.SHADOW:
            return None
        now = self._shadow(owned).mirrored()
        return now if step.mirrored is None else _together(step.mirrored, now)

    async def _read_outcome(self, owned: Owned) -> Outcome | None:
        release = owned.release
        if release.terms.plan.outcome is None or release.percent == 100:
            return None
        try:
            return await self._outcomes.read(release.terms, release.step)
        except ModelogError as error:
            # What was known of it stays known; requests are watched meanwhile.
            log.warning("outcomes cannot be read", deployment=release.terms.name, error=str(error))
            return release.evidence.outcome

    async def _stop(self, owned: Owned, why: str) -> None:
        evidence = owned.release.evidence
        await self._handle(owned, StopRelease(owned.release.number, evidence, why))

    async def _handle(self, owned: Owned, command: ReleaseCommand) -> None:
        # Each look is a new one; that it decides nothing twice is up to the decider, which knows the step.
        ctx = Context(self._clock.now(), ACTOR, owned.tenant, str(uuid7()))
        loaded = await self._releases.handle(owned.deployment_id, command, ctx)
        await self._board.catch_up()
        after = Owned(owned.tenant, owned.deployment_id, loaded.state)
        if _key(after.release) != _key(owned.release):
            await self.move(after)


def counts_of(meter: Meter, deployment_id: str, version: str, limit_ms: float) -> Counts:
    """Requests of a version since the process started; answers count as slow by buckets, each a twelfth wide."""
    buckets, errors = meter.latencies(deployment_id, version)
    slow = sum(n for bucket, n in buckets.items() if bucket > bucket_of(limit_ms)) if limit_ms else 0
    return Counts(buckets.total() + errors, errors, slow)


def _key(release: Release) -> tuple[int, Phase, int]:
    return release.number, release.phase, release.step


def _less(now: Counts, before: Counts) -> Counts:
    return Counts(now.requests - before.requests, now.errors - before.errors, now.slow - before.slow)


def _together(before: Mirrored, now: Mirrored) -> Mirrored:
    compared = before.compared + now.compared
    total = before.mean_difference * before.compared + now.mean_difference * now.compared
    return Mirrored(
        compared,
        before.alike + now.alike,
        before.failed + now.failed,
        before.dropped + now.dropped,
        total / max(compared, 1),
        max(before.most_difference, now.most_difference),
    )
