"""A method of MLflow's API: where it is, what it is asked, and who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc.aio
import msgspec
from aiohttp import web
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryStub
from modelog_proto.registry.v1.logged_model_pb2_grpc import LoggedModelsStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from modelog_proto.registry.v1.webhook_pb2_grpc import WebhooksStub

from modelog_gateway.mlflow.gathering import Gathering
from modelog_gateway.mlflow.locations import Locations
from modelog_gateway.mlflow.requests import parser_of

Answer = dict[str, Any]
Asked = TypeVar("Asked", bound=msgspec.Struct)
encode = msgspec.json.Encoder().encode


class Registry:
    """The contracts that MLflow's methods stand on."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.experiments = ExperimentRegistryStub(channel)
        self.logged_models = LoggedModelsStub(channel)
        self.models = ModelRegistryStub(channel)
        self.artifacts = ArtifactStoreStub(channel)
        self.webhooks = WebhooksStub(channel)
        self.points = Gathering(self.experiments)
        self.locations = Locations(self.experiments)


@dataclass(frozen=True)
class Endpoint(Generic[Asked]):
    """`path` is what follows `/api/2.0/mlflow`; `answer` makes the JSON object of the answer."""

    verb: str
    path: str
    asked: type[Asked]
    answer: Callable[[Registry, Asked], Awaitable[Answer]]


def handler_of(
    endpoint: Endpoint[Any], registry: Callable[[], Registry]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The endpoint over HTTP."""
    parse = parser_of(endpoint.asked)

    async def handle(request: web.Request) -> web.StreamResponse:
        body = b"" if request.method == "GET" else await request.read()
        asked = parse(request.match_info, request.query.items(), body)
        answer = await endpoint.answer(registry(), asked)
        return web.Response(body=encode(answer), content_type="application/json")

    return handle
