"""Commands about change requests. Each answer says at which position the model then stands."""

from __future__ import annotations

from dataclasses import replace

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.events.store import EventStore
from modelog_common.read.moment import ReadOptions, as_of_time, head_of

from modelog_registry.handle.evidence import Evidences
from modelog_registry.handle.models import Models
from modelog_registry.model.change_commands import (
    ApplyChange,
    AskReviewers,
    AttachEvidence,
    CommentChange,
    RequestChange,
    ReviewChange,
    WithdrawChange,
)


class Changes:
    """All change requests of all tenants."""

    def __init__(self, models: Models, evidence: Evidences, store: EventStore, clock: Clock) -> None:
        self._models, self._evidence, self._store, self._clock = models, evidence, store, clock

    async def open(self, command: RequestChange, ctx: Context) -> tuple[int, int]:
        """The number of the request, and the position."""
        evidence = [
            await self._evidence.look(given, f"evidence[{n}]", ctx.tenant) for n, given in enumerate(command.evidence)
        ]
        return await self._models.request_change(replace(command, evidence=tuple(evidence)), ctx)

    async def attach(self, command: AttachEvidence, ctx: Context) -> int:
        evidence = await self._evidence.look(command.evidence, "evidence", ctx.tenant)
        return await self._models.change(replace(command, evidence=evidence), ctx)

    async def change(self, command: AskReviewers | CommentChange | ReviewChange | WithdrawChange, ctx: Context) -> int:
        return await self._models.change(command, ctx)

    async def apply(self, command: ApplyChange, ctx: Context) -> int:
        """By the rules of promotions that are in force when it is asked."""
        return await self._models.promote(command, ctx)

    async def refusal(self, model: str, number: int, read: ReadOptions, tenant: str) -> str:
        """Why a request could not be applied as of a moment; empty when it could. Raises NotFound."""
        until = await head_of(read, self._store) if read.as_of else None
        at = await as_of_time(read.as_of, self._store) or self._clock.now()
        return await self._models.refusal(ApplyChange(model, number), Context(at, "", tenant, ""), until)
