"""modelog.serving.v1.LearningService."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.read.queries import Queries
from modelog_common.rpc.call import command_context, current_call
from modelog_proto.common.v1.common_pb2 import ReadOptions
from modelog_proto.serving.v1 import learning_pb2 as pb
from modelog_proto.serving.v1.learning_pb2_grpc import LearningServiceServicer as Contract

from modelog_serving.read.learning import MODES, terms_of
from modelog_serving.read.tables import LEARNING, STEPS
from modelog_serving.teaching.control import LearningControl

FULL_NAME = "modelog.serving.v1.LearningService"
_MODES = {number: mode for mode, number in MODES.items()}


class LearningServicer(Contract):
    """Deployments whose models learn. What is told to have been learned is what answers whoever asks then."""

    def __init__(self, control: LearningControl, queries: Queries, clock: Clock) -> None:
        self._control, self._queries, self._clock = control, queries, clock

    async def SetLearning(self, request: pb.SetLearningRequest, context: Any) -> pb.Learning:
        ctx = self._context(request.request_id, "SetLearning")
        terms = terms_of(request.terms) if request.HasField("terms") else None
        made = await self._control.set(request.deployment, _MODES[request.mode], terms, request.reason, ctx)
        return await self._learning(request.deployment, ReadOptions(at_least=made.position))

    async def GetLearning(self, request: pb.GetLearningRequest, context: Any) -> pb.Learning:
        return await self._learning(request.deployment, request.read)

    async def ListLearningSteps(
        self, request: pb.ListLearningStepsRequest, context: Any
    ) -> pb.ListLearningStepsResponse:
        t = STEPS.table.c
        where = [t.deployment == request.deployment]
        where += [t.version == request.version] if request.version else []
        found = await self._queries.page(
            STEPS, pb.LearningStep, request.read, current_call().identity.tenant, request.page,
            where=where, order_by=[t.place],
        )  # fmt: skip
        if not request.read.as_of:
            await self._control.answered()
        return pb.ListLearningStepsResponse(steps=found.items, next_page_token=found.next_page_token)

    async def ReplayLearningStep(self, request: pb.ReplayLearningStepRequest, context: Any) -> pb.ReplayedLearningStep:
        again = await self._control.again(current_call().identity.tenant, request.deployment, request.step)
        learned = again.learned
        return pb.ReplayedLearningStep(
            step=pb.LearningStep(
                deployment=learned.name,
                version=learned.version,
                step=learned.step,
                event="ModelLearned",
                registered_digest=learned.registered_digest,
                digest_before=learned.digest_before,
                digest_after=learned.digest_after,
                labels_digest=learned.labels.digest,
                labels=learned.labels.count,
                error=learned.seen.error,
                registered_error=learned.seen.registered_error,
            ),
            digest_again=again.digest,
            same=again.same,
            same_bytes=again.digest == learned.digest_after,
            error_again=again.seen.error,
            registered_error_again=again.seen.registered_error,
        )

    def _context(self, request_id: str, method: str) -> Context:
        """A request id counts for its caller and method: another one's "1" is another request."""
        ctx = command_context(self._clock, request_id)
        return replace(ctx, request_id=derived_id(ctx.actor, method, ctx.request_id))

    async def _learning(self, name: str, read: ReadOptions) -> pb.Learning:
        tenant = current_call().identity.tenant
        found = await self._queries.one(LEARNING, pb.Learning, read, tenant, deployment=name)
        if found is None:
            when = f" as of {read.as_of}" if read.as_of else ""
            raise NotFound(f"deployment {name!r} was never set to learn{when}")
        if not read.as_of:
            await self._control.answered()
            found.waiting, found.passed_over = await asyncio.to_thread(self._control.waiting, tenant, name)
        return found
