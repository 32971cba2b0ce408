"""The channel of our own client: what else a channel has, and what it leaves to grpcio."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from modelog_common.domain.errors import Invalid
from modelog_common.rpc.client import connect
from modelog_common.rpc.own_client import OwnChannel
from modelog_proto.lineage.v1 import lineage_pb2, lineage_pb2_grpc
from modelog_proto.registry.v1 import model_pb2, model_pb2_grpc

State = grpc.ChannelConnectivity
GET = model_pb2.GetModelRequest(name="flights")


async def test_grpcio_has_a_channel_when_a_stream_begins_and_not_before(served: Any) -> None:
    async with connect(served.address, served.token()) as channel:
        assert isinstance(channel, OwnChannel)
        await model_pb2_grpc.ModelRegistryStub(channel).GetModel(GET)
        assert channel._grpcio is None
        events = lineage_pb2_grpc.AuditServiceStub(channel).StreamEvents(lineage_pb2.StreamEventsRequest())
        assert (await anext(aiter(events))).position == 1
        assert channel._grpcio is not None
    for method in (channel.unary_stream("/a/b"), channel.stream_unary("/a/b"), channel.stream_stream("/a/b")):
        with pytest.raises(grpc.aio.UsageError):
            method(b"")


async def test_the_states_of_a_channel(served: Any) -> None:
    async with connect(served.address, served.token(), attempts=1) as channel:
        assert channel.get_state() is State.IDLE
        await channel.channel_ready()
        assert channel.get_state() is State.READY
        changing = asyncio.create_task(channel.wait_for_state_change(State.READY))
        await served.server.stop(0)
        await changing
        assert channel.get_state() is State.IDLE
        assert channel.get_state(try_to_connect=True) is State.CONNECTING
    assert channel.get_state() is State.SHUTDOWN


async def test_what_a_caller_gives_goes_before_what_every_call_carries(served: Any) -> None:
    """The channel's own token is none."""
    async with connect(served.address, "", attempts=1) as channel:
        given = (("authorization", f"Bearer {served.token()}"), ("x-request-id", "mine"))
        await model_pb2_grpc.ModelRegistryStub(channel).GetModel(GET, metadata=given)
    assert served.models.calls[0].request_id == "mine"


async def test_gzip_and_sizes(served: Any) -> None:
    async with connect(served.address, served.token(), attempts=1) as channel:
        stub = model_pb2_grpc.ModelRegistryStub(channel)
        assert (await stub.GetModel(GET, compression=grpc.Compression.Gzip)).name == "flights"
        with pytest.raises(Invalid, match="larger than max"):
            await stub.GetModel(model_pb2.GetModelRequest(name="x" * (33 << 20)))


async def test_a_call_has_no_credentials_of_its_own(served: Any) -> None:
    async with connect(served.address, served.token()) as channel:
        credentials = grpc.access_token_call_credentials("x")
        with pytest.raises(grpc.aio.UsageError, match="pass them as metadata"):
            model_pb2_grpc.ModelRegistryStub(channel).GetModel(GET, credentials=credentials)
