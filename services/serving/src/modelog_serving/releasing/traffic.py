"""Moves a deployment's traffic as a release decided: once, atomically, and only when the models are loaded."""

from __future__ import annotations

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities, Loaded

from modelog_serving.control import Answering
from modelog_serving.deployment.commands import DeploymentCommand, RollBack, Shift
from modelog_serving.deployment.decide import going_back_to
from modelog_serving.deployment.events import DeploymentEvent, ShareSet
from modelog_serving.deployment.state import Deployment, Variant
from modelog_serving.engine.models import ModelRef
from modelog_serving.release.state import Phase, Release
from modelog_serving.releasing.board import Owned

ACTOR = "service:serving"


class Mover:
    """Sets the traffic that a release wants, or goes back to an earlier version."""

    def __init__(
        self,
        deployments: Entities[Deployment, DeploymentCommand, DeploymentEvent],
        answering: Answering,
        clock: Clock,
    ) -> None:
        self._deployments, self._answering, self._clock = deployments, answering, clock

    async def apply(self, owned: Owned) -> None:
        """Give the versions the shares that the release wants now; the same once more changes nothing.

        Raises NotAllowed when somebody else set the traffic of a running release, or a model cannot be loaded.
        """
        release = owned.release
        wanted, before = release.split(), release.splits_before()
        deployment = (await self._deployments.current(owned.deployment_id)).state
        if deployment.split == wanted:
            # Whoever set it may not have come to the end: what answers must not be taken for somebody else's traffic.
            await self._answering.catch_up()
            return
        if not wanted:
            return
        if deployment.split not in before and not release.running:
            return
        terms = release.terms
        served = {s.version: s for s in (terms.incumbent, terms.candidate)}
        shares = tuple(ShareSet(v, p, served[v].digest, served[v].flavor) for v, p in wanted.items())
        for share in shares:
            await self._load(deployment, share.model_digest, share.flavor)
        request_id = derived_id("release", owned.deployment_id, str(terms.number), release.phase, str(release.step))
        ctx = Context(self._clock.now(), ACTOR, owned.tenant, request_id)
        reason = f"release {terms.number} of {terms.candidate.version}: {_why(release)}"
        await self._deployments.handle(owned.deployment_id, Shift(terms.name, before, shares, reason), ctx)
        await self._answering.catch_up()

    async def roll_back(self, deployment_id: str, command: RollBack, ctx: Context) -> Loaded[Deployment]:
        """Give all of the traffic to an earlier version; raises NotAllowed or NotFound where there is none."""
        deployment = (await self._deployments.current(deployment_id)).state
        target = going_back_to(deployment, command.version)
        await self._load(deployment, target.digest, target.flavor)
        handled = await self._deployments.handle(deployment_id, command, ctx)
        await self._answering.catch_up()
        return handled

    async def earlier(self, deployment_id: str, version: str) -> Variant:
        """The version that a rollback would go to."""
        return going_back_to((await self._deployments.current(deployment_id)).state, version)

    async def _load(self, deployment: Deployment, digest: str, flavor: str) -> None:
        # What answered before was approved as it was then, so it may be loaded again.
        await self._answering.get(ModelRef(digest, flavor, deployment.signature, approved=True))


def _why(release: Release) -> str:
    plan, percent = release.terms.plan, release.percent
    match release.phase:
        case Phase.PROMOTED:
            return "promoted"
        case Phase.ROLLED_BACK:
            return "rolled back"
        case _:
            return f"{plan.pattern}, step {release.step + 1} of {len(plan.steps)}, {percent:g} %"
