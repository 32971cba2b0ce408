"""The control plane's commands: ask the registry, load the model, decide, and only then switch."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Protocol

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, ModelogError, NotAllowed, NotFound, Unavailable
from modelog_common.events.entities import Entities, Loaded

from modelog_serving.deployment.commands import (
    Candidate,
    Create,
    DeploymentCommand,
    SetCaching,
    SetResilience,
    SetScaling,
    SetTraffic,
    Share,
    Stop,
)
from modelog_serving.deployment.decide import deployment_id
from modelog_serving.deployment.events import DeploymentEvent
from modelog_serving.deployment.resilience import Resilience
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import unservable
from modelog_serving.deployment.state import Deployment
from modelog_serving.engine.models import ModelRef
from modelog_serving.oip.core import Versions

FALLBACK_FIELD = "resilience.fallback.version"
DeploymentEntities = Entities[Deployment, DeploymentCommand, DeploymentEvent]


class Answering(Protocol):
    """All processes that answer requests."""

    async def get(self, ref: ModelRef) -> object:
        """Have a model in memory; raises NotFound, NotAllowed or Unavailable, which say why it cannot be."""
        ...

    async def catch_up(self) -> None:
        """Return when all of them answer by everything that is in the log of events now."""
        ...


class Tried(Protocol):
    """What became of versions when they were tried."""

    async def refused(self, tenant: str, candidate: Candidate) -> str:
        """When a trial of a version was refused and why; "" where it was not."""
        ...


class Control:
    """Handles commands. When one returns, requests are answered by what it decided."""

    def __init__(self, entities: DeploymentEntities, versions: Versions, answering: Answering, tried: Tried) -> None:
        self._entities, self._versions, self._answering, self._tried = entities, versions, answering, tried

    async def create(self, name: str, model: str, version: str, environment: str, ctx: Context) -> Loaded[Deployment]:
        """Serve a version under a new name; raises why it may not or cannot be."""
        candidate = await self._versions.get(model, version)
        return await self._handle(Create(name, environment, candidate), [candidate], ctx)

    async def set_traffic(
        self, name: str, percents: Sequence[tuple[str, float]], reason: str, ctx: Context
    ) -> Loaded[Deployment]:
        """Split the traffic anew. Nothing changes unless every version may answer and its model is loaded."""
        before = await self._entities.load(deployment_id(ctx.tenant, name))
        if not before.version:
            raise NotFound(f"there is no deployment {name!r}")
        shares = tuple(
            [Share(await self._versions.get(before.state.model, version), percent) for version, percent in percents]
        )
        answering = [share.candidate for share in shares]
        # What answers already is not judged anew: a way back must stay open.
        known = {variant.version for variant in before.state.variants}
        return await self._handle(SetTraffic(name, shares, reason), answering, ctx, known)

    async def set_scaling(self, name: str, scaling: Scaling, reason: str, ctx: Context) -> Loaded[Deployment]:
        """Have replicas between bounds."""
        return await self._handle(SetScaling(name, scaling, reason), [], ctx)

    async def set_caching(self, name: str, ttl_s: int, max_bytes: int, reason: str, ctx: Context) -> Loaded[Deployment]:
        """Give answers again for so long, 0 for never."""
        return await self._handle(SetCaching(name, ttl_s, max_bytes, reason), [], ctx)

    async def set_resilience(
        self, name: str, resilience: Resilience | None, reason: str, ctx: Context
    ) -> Loaded[Deployment]:
        """Do this when a version fails, None for nothing. A version that is to answer instead is loaded first."""
        version = resilience.fallback.version if resilience is not None and resilience.fallback is not None else ""
        if not version:
            return await self._handle(SetResilience(name, resilience, reason=reason), [], ctx)
        before = await self._entities.load(deployment_id(ctx.tenant, name))
        if not before.version:
            raise NotFound(f"there is no deployment {name!r}")
        try:
            candidate = await self._versions.get(before.state.model, version)
            await self.load(candidate, ctx.tenant)
        except Invalid as error:
            raise Invalid.field(FALLBACK_FIELD, str(error)) from error
        except ModelogError as error:
            raise type(error)(f"{FALLBACK_FIELD}: {error}") from error
        return await self._handle(SetResilience(name, resilience, candidate, reason), [], ctx)

    async def stop(self, name: str, reason: str, ctx: Context) -> Loaded[Deployment]:
        """Answer no more."""
        return await self._handle(Stop(name, reason), [], ctx)

    async def _handle(
        self, command: DeploymentCommand, answering: Sequence[Candidate], ctx: Context, known: Container[str] = ()
    ) -> Loaded[Deployment]:
        entity = deployment_id(ctx.tenant, command.name)
        for candidate in answering:
            await self.load(candidate, ctx.tenant, known=candidate.version in known)
        handled = await self._entities.handle(entity, command, ctx)
        await self._answering.catch_up()
        return handled

    async def load(self, candidate: Candidate, tenant: str, *, known: bool = False) -> None:
        """Load a version's model; raises NotAllowed, or Unavailable for what may succeed later, saying why.

        One whose trial was refused is refused, too, unless it is `known` to answer.
        """
        # What no file can mend is said of the signature and not of the file, which it would not fit.
        problem = unservable(candidate.signature)
        if problem:
            raise NotAllowed(f"{candidate.model} {candidate.version} cannot be served: {problem}")
        try:
            await self._answering.get(
                ModelRef(candidate.digest, candidate.flavor, candidate.signature, candidate.vouched)
            )
        except Unavailable as error:
            raise Unavailable(_not_loaded(candidate, error)) from error
        except ModelogError as error:
            tried = await self._tried.refused(tenant, candidate)
            raise NotAllowed(_not_loaded(candidate, error) + (f"; {tried}" if tried else "")) from error
        refused = "" if known else await self._tried.refused(tenant, candidate)
        if refused:
            raise NotAllowed(f"{candidate.model} {candidate.version} is not served, so nothing was changed: {refused}")


def _not_loaded(candidate: Candidate, error: ModelogError) -> str:
    return f"{candidate.model} {candidate.version} cannot be loaded, so nothing was changed: {error}"
