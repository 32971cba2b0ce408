"""Serving asks the registry for a version as it is at the end of the log: an approval that was heard of counts."""

from __future__ import annotations

from typing import Any

from modelog_common.edge.server import EdgeServer
from modelog_common.rpc.client import connect
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryServicer, add_ModelRegistryServicer_to_server
from modelog_serving.registry import RegistryVersions


class Late(ModelRegistryServicer):
    """A registry that says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def GetVersion(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        return model_pb2.ModelVersion(model=request.model, version=request.version)


async def test_a_version_is_asked_for_as_of_the_end_of_the_log() -> None:
    server, late = EdgeServer(), Late()
    add_ModelRegistryServicer_to_server(late, server)
    channel = connect(f"127.0.0.1:{await server.listen('127.0.0.1', 0)}", "")

    async def head() -> int:
        return 17

    found = await RegistryVersions(lambda: channel, head).get("flights", "1.0.0")
    assert (found.model, found.version, late.asked[0].read.at_least) == ("flights", "1.0.0", 17)
    await channel.close()
    await server.stop(0)
