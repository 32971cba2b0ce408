"""What is running, and the operations on all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc.aio
from modelog_common.bus.broker import Broker
from modelog_common.bus.topics import INFERENCE_REQUESTS, OUTCOMES
from modelog_common.domain.errors import Invalid, ModelogError, NotFound, Unavailable
from modelog_common.rpc.call import current_call
from modelog_proto.common.v1 import common_pb2
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.gateway.v1 import platform_pb2 as pb
from modelog_proto.gateway.v1.platform_pb2_grpc import PlatformServiceServicer

STATUS_TIMEOUT_S = 15.0
REBUILD_TIMEOUT_S = 600.0
REPLAY_TIMEOUT_S = 50.0
READERS = {INFERENCE_REQUESTS.kind: (INFERENCE_REQUESTS, "serving"), OUTCOMES.kind: (OUTCOMES, "monitoring")}
Call = Any


class PlatformServicer(PlatformServiceServicer):
    """modelog.gateway.v1.PlatformService; `peers` are the channels to the six services."""

    def __init__(self, peers: Mapping[str, grpc.aio.Channel], data_broker: Broker | None) -> None:
        self.peers, self._data_broker = peers, data_broker

    async def ListServices(self, request: pb.ListServicesRequest, context: Call) -> pb.ListServicesResponse:
        found = await asyncio.gather(*(health_of(name, channel) for name, channel in self.peers.items()))
        return pb.ListServicesResponse(services=found)

    async def RebuildServices(self, request: pb.RebuildServicesRequest, context: Call) -> pb.RebuildServicesResponse:
        names = list(request.services) or list(self.peers)
        for n, name in enumerate(names):
            if name not in self.peers:
                raise Invalid.field(f"services[{n}]", f"{name!r} is no service; there are {', '.join(self.peers)}")
        done = await asyncio.gather(*(rebuilt(name, self.peers[name]) for name in names))
        return pb.RebuildServicesResponse(services=done)

    async def GetTopicProgress(self, request: pb.GetTopicProgressRequest, context: Call) -> common_pb2.StreamProgress:
        if request.topic not in READERS:
            kinds = ", ".join(READERS)
            raise Invalid.field("topic", f"{request.topic!r} is no kind of data-plane topic; there are {kinds}")
        topics, reader = READERS[request.topic]
        asked = common_pb2.GetStreamProgressRequest(producer=request.producer, topic=request.topic)
        found = await AdminServiceStub(self.peers[reader]).GetStreamProgress(asked)
        topic = topics.of(current_call().identity.tenant)
        if self._data_broker is not None:
            await self._data_broker.open(topic)  # the first to ask for it has it made, since brokers need not do so
        found.topic = topic.name
        return found

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Call) -> pb.ListDeadLettersResponse:
        asked = common_pb2.ListDeadLettersRequest(limit=request.limit, replayed=request.replayed)
        found = await asyncio.gather(*(dead_letters_of(channel, asked) for channel in self.peers.values()))
        unanswered = {name: answer for name, answer in zip(self.peers, found, strict=True) if isinstance(answer, str)}
        letters = [letter for answer in found if not isinstance(answer, str) for letter in answer.letters]
        letters.sort(key=lambda letter: (letter.buried_at, letter.id))
        return pb.ListDeadLettersResponse(letters=letters, unanswered=unanswered)

    async def GetDeadLetter(self, request: common_pb2.GetDeadLetterRequest, context: Call) -> common_pb2.DeadLetter:
        return await AdminServiceStub(self._holder(request.id)).GetDeadLetter(request)

    async def ReplayDeadLetter(
        self, request: common_pb2.ReplayDeadLetterRequest, context: Call
    ) -> common_pb2.DeadLetter:
        return await AdminServiceStub(self._holder(request.id)).ReplayDeadLetter(request, timeout=REPLAY_TIMEOUT_S)

    def _holder(self, letter_id: str) -> grpc.aio.Channel:
        """The channel to the service that holds a dead letter: its id begins with the name."""
        channel = self.peers.get(letter_id.partition("-")[0])
        if channel is None:
            raise NotFound(f"there is no dead letter {letter_id!r}; `modelog events dead list` names them")
        return channel


async def dead_letters_of(
    channel: grpc.aio.Channel, asked: common_pb2.ListDeadLettersRequest
) -> common_pb2.ListDeadLettersResponse | str:
    """A service's dead letters, or in words why there is no answer."""
    try:
        return await AdminServiceStub(channel).ListDeadLetters(asked, timeout=STATUS_TIMEOUT_S)
    except Unavailable as error:
        return str(error)


async def health_of(service: str, channel: grpc.aio.Channel) -> pb.ServiceHealth:
    """A service's status, or in words why there is none."""
    try:
        status = await AdminServiceStub(channel).GetStatus(common_pb2.GetStatusRequest(), timeout=STATUS_TIMEOUT_S)
    except ModelogError as error:
        return pb.ServiceHealth(service=service, health=f"{type(error).__name__}: {error}")
    troubled = [f"{p.name}: {p.error}" for p in status.projections if p.error]
    return pb.ServiceHealth(service=service, health="; ".join(troubled) or "serving", status=status)


async def rebuilt(service: str, channel: grpc.aio.Channel) -> pb.ServiceRebuilt:
    """Rebuild a service's projections."""
    answer = await AdminServiceStub(channel).Rebuild(common_pb2.RebuildRequest(), timeout=REBUILD_TIMEOUT_S)
    return pb.ServiceRebuilt(service=service, projections=answer.projections)
