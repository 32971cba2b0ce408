"""Which deployments know a model by its name: the serving service is asked, as the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import grpc.aio
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceStub

PAGE = 1000
# The names of the deployments that serve a model.
Served = Callable[[str], Awaitable[Sequence[str]]]


class Deployments:
    """Where there is no serving service there are none."""

    def __init__(self, serving: Callable[[], grpc.aio.Channel] | None) -> None:
        self._serving = serving

    async def of(self, model: str) -> Sequence[str]:
        """Those that answer, by name; raises Unavailable when serving does not answer."""
        if self._serving is None:
            return ()
        stub, page = DeploymentServiceStub(self._serving()), Page(size=PAGE)
        found: list[str] = []
        while True:
            answer = await stub.ListDeployments(pb.ListDeploymentsRequest(page=page))
            running = (d for d in answer.deployments if d.status == pb.DEPLOYMENT_STATUS_RUNNING)
            found += [d.name for d in running if d.model == model]
            if not answer.next_page_token:
                return found
            page = Page(size=PAGE, token=answer.next_page_token)
