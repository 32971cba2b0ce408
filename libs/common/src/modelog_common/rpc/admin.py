"""What every service process answers besides its own work: status, rebuild, progress of streams."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
from modelog_proto.common.v1 import common_pb2 as pb
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceServicer, add_AdminServiceServicer_to_server

from modelog_common.bus.deadletters import DeadLetter, DeadLetters
from modelog_common.domain.clock import Clock
from modelog_common.rpc.call import current_call, patience_s
from modelog_common.rpc.server import GrpcServer

FULL_NAME = "modelog.common.v1.AdminService"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STATM = Path("/proc/self/statm")
# Name, last position it holds, what it could not handle.
ProjectionState = tuple[str, int, str]
# Name, kind of topics, how far behind, and what it is doing.
StreamState = tuple[str, str, int, str]
MOST_LETTERS = 100
Call = grpc.aio.ServicerContext[Any, Any]


class AdminServicer(AdminServiceServicer):
    """modelog.common.v1.AdminService, over what the process hands in."""

    def __init__(
        self,
        *,
        service: str,
        version: str,
        clock: Clock,
        store_head: Callable[[], Awaitable[int]],
        projections: Callable[[], Sequence[ProjectionState]],
        rebuild: Callable[[Sequence[str]], Awaitable[None]],
        streams: Callable[[], Sequence[StreamState]],
        dead: DeadLetters,
        progress: Callable[[str, str, str], Awaitable[int]],
        endpoints: Mapping[str, str],
    ) -> None:
        self._service, self._version, self._clock = service, version, clock
        self._store_head, self._projections = store_head, projections
        self._rebuild, self._progress, self._endpoints = rebuild, progress, endpoints
        self._streams, self._dead = streams, dead
        self._started = clock.now()

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: grpc.aio.ServicerContext[pb.GetStatusRequest, pb.ServiceStatus]
    ) -> pb.ServiceStatus:
        return pb.ServiceStatus(
            service=self._service,
            version=self._version,
            pid=os.getpid(),
            uptime_s=(self._clock.now() - self._started).total_seconds(),
            memory_bytes=resident_bytes(),
            log_position=await self._store_head(),
            projections=self._states(),
            endpoints=self._endpoints,
            streams=[pb.StreamStatus(name=n, topic=t, lag=lag, state=s) for n, t, lag, s in self._streams()],
        )

    async def Rebuild(
        self, request: pb.RebuildRequest, context: grpc.aio.ServicerContext[pb.RebuildRequest, pb.RebuildResponse]
    ) -> pb.RebuildResponse:
        await self._rebuild(list(request.projections))
        return pb.RebuildResponse(projections=self._states())

    async def GetStreamProgress(
        self,
        request: pb.GetStreamProgressRequest,
        context: grpc.aio.ServicerContext[pb.GetStreamProgressRequest, pb.StreamProgress],
    ) -> pb.StreamProgress:
        tenant = current_call().identity.tenant
        return pb.StreamProgress(sequence=await self._progress(tenant, request.producer, request.topic))

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Call) -> pb.ListDeadLettersResponse:
        tenant, limit = current_call().identity.tenant, request.limit or MOST_LETTERS
        found = await self._dead.list(tenant, limit, replayed=request.replayed)
        return pb.ListDeadLettersResponse(letters=[self._letter(letter) for letter in found])

    async def GetDeadLetter(self, request: pb.GetDeadLetterRequest, context: Call) -> pb.DeadLetter:
        return self._whole(await self._dead.get(request.id, current_call().identity.tenant))

    async def ReplayDeadLetter(self, request: pb.ReplayDeadLetterRequest, context: Call) -> pb.DeadLetter:
        return self._letter(await self._dead.replay(request.id, current_call().identity.tenant, patience_s()))

    def _letter(self, letter: DeadLetter) -> pb.DeadLetter:
        return pb.DeadLetter(
            id=letter.id,
            service=self._service,
            consumer=letter.consumer,
            topic=letter.message.topic,
            partition=letter.message.partition,
            offset=letter.message.offset,
            reason=letter.reason,
            attempts=letter.attempts,
            state=letter.state,
            buried_at=letter.buried_at,
            changed_at=letter.changed_at,
        )

    def _whole(self, letter: DeadLetter) -> pb.DeadLetter:
        found = self._letter(letter)
        found.headers.update({name: letter.message.text(name) for name in letter.message.headers})
        found.value = letter.message.value
        return found

    def _states(self) -> list[pb.ProjectionStatus]:
        return [pb.ProjectionStatus(name=n, position=p, error=e) for n, p, e in self._projections()]


def add_admin(server: GrpcServer, servicer: AdminServicer) -> None:
    """Serve it."""
    server.add(add_AdminServiceServicer_to_server, servicer, FULL_NAME)


def resident_bytes() -> int:
    """Memory of this process that is in RAM (the second number of /proc/self/statm, in pages)."""
    return int(STATM.read_text().split()[1]) * PAGE_BYTES
