"""A server's life: health, reflection, ports, status."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import NotFound, Unavailable
from modelog_common.rpc.admin import AdminServicer, add_admin
from modelog_common.rpc.server import GrpcServer
from modelog_proto.common.v1 import common_pb2
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.registry.v1 import model_pb2

MODELS = "modelog.registry.v1.ModelRegistry"
GET = model_pb2.GetModelRequest(name="m")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def stranger(served):
    """A channel without a token or any of our interceptors."""
    async with grpc.aio.insecure_channel(served.address) as channel:
        yield channel


async def health(channel, service: str = "") -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return answer.status


async def test_anybody_may_ask_for_the_health_of_the_process_and_of_each_service(stranger) -> None:
    assert await health(stranger) == SERVING
    assert await health(stranger, MODELS) == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await health(stranger, "modelog.none")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_can_be_switched(served, stranger) -> None:
    await served.server.set_serving(False)
    assert await health(stranger) == NOT_SERVING
    assert await health(stranger, MODELS) == NOT_SERVING
    await served.server.set_serving(True)
    assert await health(stranger) == SERVING


async def test_who_watches_the_health_sees_the_stop_before_it_happens(served, stranger) -> None:
    watch = health_pb2_grpc.HealthStub(stranger).Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    await served.server.set_serving(False)
    assert (await watch.read()).status == NOT_SERVING


async def test_health_leaves_no_lines_in_the_log(stranger, lines) -> None:
    await health(stranger)
    assert lines.all("call") == []


async def reflected(channel, **request):
    async def ask():
        yield reflection_pb2.ServerReflectionRequest(**request)

    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(ask())
    return [answer async for answer in call][0]  # noqa: RUF015


async def test_anybody_may_ask_what_is_served(stranger) -> None:
    answer = await reflected(stranger, list_services="")
    names = {service.name for service in answer.list_services_response.service}
    assert {MODELS, "modelog.registry.v1.ArtifactStore", "grpc.health.v1.Health"} <= names
    answer = await reflected(stranger, file_containing_symbol=MODELS)
    assert b"PromoteVersion" in answer.file_descriptor_response.file_descriptor_proto[0]


async def test_a_port_in_use_is_named(served) -> None:
    port = int(served.address.rpartition(":")[2])
    second = GrpcServer("127.0.0.1", port, served.verifier, edge=served.edge)
    with pytest.raises(
        Unavailable, match=rf"cannot listen on 127\.0\.0\.1:{port}: the port is in use .*MODELOG_GRPC_PORT"
    ):
        await second.start()
    assert (await served.registry().GetModel(GET)).name == "m"


async def test_a_channel_finds_a_server_that_was_away_and_came_back(start) -> None:
    gone = await start()
    stub = AdminServiceStub(gone.channel(attempts=5))
    port = int(gone.address.rpartition(":")[2])
    await gone.server.stop(0)
    asked = asyncio.create_task(_status(stub))
    with pytest.raises(Unavailable):
        await gone.registry().GetModel(GET)
    again = GrpcServer("127.0.0.1", port, gone.verifier, edge=gone.edge)
    add_admin(again, AdminServicer(**status_parts()))
    assert await again.start() == port
    gone.closing.push_async_callback(again.stop, 0)
    assert (await asked).service == "x"


async def _status(stub):
    return await stub.GetStatus(common_pb2.GetStatusRequest())


def status_parts(**other):
    async def head() -> int:
        return 42

    async def rebuild(names) -> None:
        if "none" in names:
            raise NotFound("x has no projection 'none'; it has tables")
        other.setdefault("rebuilt", []).append(names)

    async def progress(tenant: str, producer: str, topic: str) -> int:
        return {("acme", "abc", "de"): 5}[tenant, producer, topic]

    return {
        "service": "x", "version": "0.1.0", "clock": ManualClock(), "store_head": head,
        "projections": lambda: [("tables", 40, ""), ("graph", 7, "no Bolt")], "rebuild": rebuild,
        "streams": lambda: [("relay", "modelog.acme.events.x", 3, "publishing")],
        "dead": None,  # its calls are tried with the bus: test_dead_letter_replay.py
        "progress": progress, "endpoints": {"grpc": "127.0.0.1:1"},
    } | {k: v for k, v in other.items() if k != "rebuilt"}  # fmt: skip


@pytest.fixture
async def admin(served):
    """The operations of a process, with its clock and what it was told to rebuild: (stub, clock, rebuilt)."""
    clock, rebuilt = ManualClock(), []
    server = GrpcServer("127.0.0.1", 0, served.verifier, edge=served.edge)
    add_admin(server, AdminServicer(**status_parts(clock=clock, rebuilt=rebuilt)))
    served.address = f"127.0.0.1:{await server.start()}"
    served.closing.push_async_callback(server.stop, 0)
    return AdminServiceStub(served.channel()), clock, rebuilt


async def test_status(admin) -> None:
    stub, clock, _ = admin
    clock.advance(timedelta(seconds=90))
    status = await stub.GetStatus(common_pb2.GetStatusRequest())
    assert (status.service, status.version, status.pid) == ("x", "0.1.0", os.getpid())
    assert (status.uptime_s, status.log_position) == (90, 42)
    assert 10 << 20 < status.memory_bytes < 8 << 30
    assert [(p.name, p.position, p.error) for p in status.projections] == [("tables", 40, ""), ("graph", 7, "no Bolt")]
    (stream,) = status.streams
    assert (stream.name, stream.topic, stream.lag, stream.state) == ("relay", "modelog.acme.events.x", 3, "publishing")
    assert dict(status.endpoints) == {"grpc": "127.0.0.1:1"}


async def test_rebuild(admin) -> None:
    stub, _, rebuilt = admin
    answer = await stub.Rebuild(common_pb2.RebuildRequest(projections=["tables"]))
    assert [p.name for p in answer.projections] == ["tables", "graph"]
    assert rebuilt == [["tables"]]
    with pytest.raises(NotFound, match="no projection 'none'"):
        await stub.Rebuild(common_pb2.RebuildRequest(projections=["none"]))


async def test_progress_of_a_stream(admin) -> None:
    stub, _, _ = admin
    answer = await stub.GetStreamProgress(common_pb2.GetStreamProgressRequest(producer="abc", topic="de"))
    assert answer.sequence == 5
