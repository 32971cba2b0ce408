"""modelog.lineage.v1.AuditService: every event, and the proof that none was altered."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
from modelog_common.domain.errors import NotFound
from modelog_common.events.store import EventStore
from modelog_common.read.moment import head_of
from modelog_common.rpc.call import current_call
from modelog_proto.lineage.v1 import lineage_pb2 as pb
from modelog_proto.lineage.v1.lineage_pb2_grpc import AuditServiceServicer

from modelog_lineage.audit.listing import Wanted, find, follow, in_sight
from modelog_lineage.audit.log import AuditLog
from modelog_lineage.audit.prediction import PredictionProofs
from modelog_lineage.audit.records import message_of
from modelog_lineage.audit.report import report_of
from modelog_lineage.audit.treefile import Signed
from modelog_lineage.sight import Sight
from modelog_lineage.story.diff import Difference, difference, end_of

Call = grpc.aio.ServicerContext[Any, Any]


class AuditServicer(AuditServiceServicer):
    """Lists a tenant's own events; proofs and checkpoints are of the whole log."""

    def __init__(
        self,
        audit: AuditLog,
        store: EventStore,
        store_file: Path | None,
        draining: Callable[[], Awaitable[None]],
        sight: Sight,
        predictions: PredictionProofs,
    ) -> None:
        self.audit, self.store, self.store_file, self.draining = audit, store, store_file, draining
        self.sight, self.predictions = sight, predictions

    async def ListEvents(self, request: pb.ListEventsRequest, context: Call) -> pb.ListEventsResponse:
        wanted = Wanted(current_call().identity.tenant, request.stream, request.type, request.actor)
        head = await head_of(request.read, self.store)
        find_from = partial(find, self.store, wanted, newest_first=request.newest_first, head=head)
        found = await in_sight(find_from, self.sight.streams, request.after, request.limit)
        return pb.ListEventsResponse(events=[message_of(event, exact=request.exact) for event in found], head=head)

    async def DiffEvents(self, request: pb.DiffEventsRequest, context: Call) -> pb.DiffEventsResponse:
        since = await end_of(self.store, request.since, "since")
        until = await end_of(self.store, request.until, "until")
        found = await difference(self.store, current_call().identity.tenant, since, until)
        hidden = await self.sight.streams(entity.stream for entity in found.entities)
        found.entities = [entity for entity in found.entities if entity.stream not in hidden]
        return to_difference(found)

    async def StreamEvents(self, request: pb.StreamEventsRequest, context: Call) -> AsyncIterator[pb.AuditEvent]:
        wanted = Wanted(current_call().identity.tenant)
        async for page in follow(self.store, wanted, request.after, self.draining):
            hidden = await self.sight.streams(event.stream for event in page)
            for event in page:
                if event.stream not in hidden:
                    yield message_of(event)

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Call) -> pb.Checkpoint:
        return await self._checkpoint(await self.audit.checkpoint())

    async def GetInclusionProof(self, request: pb.GetInclusionProofRequest, context: Call) -> pb.InclusionProof:
        async for event in self.store.read_all(after=request.position - 1, until=request.position):
            if await self.sight.streams([event.stream]):
                raise NotFound(f"there is no event at position {request.position} that you may see")
        bundle = await self.audit.inclusion_proof(request.position, current_call().identity.tenant)
        return pb.InclusionProof(bundle=json.dumps(bundle))

    async def ProvePrediction(self, request: pb.ProvePredictionRequest, context: Call) -> pb.PredictionProof:
        tenant = current_call().identity.tenant
        return pb.PredictionProof(
            document=await self.predictions.prove(tenant, request.deployment, request.prediction_id)
        )

    async def GetConsistencyProof(self, request: pb.GetConsistencyProofRequest, context: Call) -> pb.ConsistencyProof:
        path, signed = await self.audit.consistency_proof(request.old_size, request.new_size)
        return pb.ConsistencyProof(
            old_size=request.old_size,
            new_size=signed.size,
            path=[base64_of(part) for part in path],
            checkpoint=await self._checkpoint(signed),
        )

    async def VerifyAudit(self, request: pb.VerifyAuditRequest, context: Call) -> pb.AuditReport:
        return report_of(*await self.audit.verify(self.store_file))

    async def _checkpoint(self, signed: Signed) -> pb.Checkpoint:
        return pb.Checkpoint(
            size=signed.size,
            root=base64_of(signed.root),
            note=signed.note,
            public_key=await self.audit.public_key(),
        )


def to_difference(found: Difference) -> pb.DiffEventsResponse:
    """The answer."""
    answer = pb.DiffEventsResponse(
        since=found.since,
        until=found.until,
        events=found.events,
        events_by_type=found.by_type,
        entities=[pb.EntityChanges(**asdict(entity)) for entity in found.entities],
        left_off=found.left_off,
    )
    if found.first_at is not None and found.last_at is not None:
        answer.first_at.FromDatetime(found.first_at)
        answer.last_at.FromDatetime(found.last_at)
    return answer


def base64_of(value: bytes) -> str:
    """Standard base64."""
    return b64encode(value).decode()
