"""A method of MLflow's API: where it is, what it is asked, and who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc.aio
import msgspec
from aiohttp import web
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.edge import http1_answer
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.experiment_pb2 import CreateExperimentRequest
from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryStub
from modelog_proto.registry.v1.logged_model_pb2_grpc import LoggedModelsStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from modelog_proto.registry.v1.webhook_pb2_grpc import WebhooksStub
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub

from modelog_gateway.mlflow.errors import response_of
from modelog_gateway.mlflow.gathering import gathered_points, gathered_starts
from modelog_gateway.mlflow.locations import Locations
from modelog_gateway.mlflow.requests import parser_of
from modelog_gateway.mlflow.shown import Shown
from modelog_gateway.mlflow.values import DEFAULT_ID, DEFAULT_NAME
from modelog_gateway.mlflow.working import HEADER, working_in

Answer = dict[str, Any]
# Path parameters, query, body and workspace, to the answer.
Answering = Callable[[Mapping[str, str], Iterable[tuple[str, str]], bytes, str], Awaitable[http1_answer.Answer]]
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
        self.workspaces = WorkspacesStub(channel)
        self.points = gathered_points(self.experiments)
        self.starts = gathered_starts(self.experiments)
        self.locations = Locations(self.experiments)
        self.shown = Shown()


@dataclass(frozen=True)
class Endpoint(Generic[Asked]):
    """`path` is what follows `/api/2.0/mlflow`; `answer` makes the JSON object of the answer, `status` is its."""

    verb: str
    path: str
    asked: type[Asked]
    answer: Callable[[Registry, Asked], Awaitable[Answer]]
    status: int = 200


def answering_of(endpoint: Endpoint[Any], registry: Callable[[], Registry]) -> Answering:
    """The endpoint over HTTP, whoever speaks it; in a call (`calling`)."""
    parse = parser_of(endpoint.asked)

    async def answering(
        path: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes, workspace: str
    ) -> http1_answer.Answer:
        asked = parse(path, query, body)
        with working_in(workspace):
            answer = await _answered(endpoint, registry(), asked)
        return http1_answer.Answer(encode(answer), endpoint.status)

    return answering


def handler_of(answering: Answering) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The endpoint behind aiohttp."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = b"" if request.method == "GET" else await request.read()
        workspace = request.headers.get(HEADER, "")
        return response_of(await answering(request.match_info, request.query.items(), body, workspace))

    return handle


async def _answered(endpoint: Endpoint[Any], registry: Registry, asked: Any) -> Answer:
    """The experiment Default is there for whoever asks for it: it is made when it turns out to be missing."""
    try:
        return await endpoint.answer(registry, asked)
    except (NotFound, Invalid) as error:
        if not _lacks_default(asked, error):
            raise
    await registry.experiments.CreateExperiment(CreateExperimentRequest(name=DEFAULT_NAME))
    return await endpoint.answer(registry, asked)


def _lacks_default(asked: Any, error: NotFound | Invalid) -> bool:
    if getattr(asked, "experiment_id", "") != DEFAULT_ID and getattr(asked, "experiment_name", "") != DEFAULT_NAME:
        return False
    return isinstance(error, NotFound) or any(violation.field == "experiment_id" for violation in error.violations)
