"""What is running, and the operations on all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc.aio
from modelog_common.bus.topics import INFERENCE_REQUESTS, OUTCOMES
from modelog_common.domain.errors import Invalid, ModelogError
from modelog_proto.common.v1 import common_pb2
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.gateway.v1 import platform_pb2 as pb
from modelog_proto.gateway.v1.platform_pb2_grpc import PlatformServiceServicer

STATUS_TIMEOUT_S = 2.0
REBUILD_TIMEOUT_S = 600.0
READERS = {INFERENCE_REQUESTS.name: "serving", OUTCOMES.name: "monitoring"}
Call = Any


class PlatformServicer(PlatformServiceServicer):
    """modelog.gateway.v1.PlatformService; `peers` are the channels to the six services."""

    def __init__(self, peers: Mapping[str, grpc.aio.Channel]) -> None:
        self.peers = peers

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
        reader = READERS.get(request.topic)
        if reader is None:
            raise Invalid.field("topic", f"{request.topic!r} is no data-plane topic; there are {', '.join(READERS)}")
        asked = common_pb2.GetStreamProgressRequest(producer=request.producer, topic=request.topic)
        return await AdminServiceStub(self.peers[reader]).GetStreamProgress(asked)


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
