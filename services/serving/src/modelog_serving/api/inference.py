"""The gRPC edge of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict, replace
from typing import Any

import structlog
from modelog_common.domain.errors import ModelogError, NotFound
from modelog_common.rpc.call import calling, current_call
from modelog_common.security.tokens import TokenVerifier
from modelog_proto.inference import grpc_predict_v2_pb2 as pb
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceServicer

from modelog_serving.oip.access import LOADING, PERMISSION, identify
from modelog_serving.oip.core import Inference
from modelog_serving.oip.grpc_codec import (
    choice_of,
    request_of,
    to_config,
    to_message,
    to_metadata,
    to_statistics,
)
from modelog_serving.oip.repository import Repository, version_of
from modelog_serving.oip.server import EXTENSIONS, FALLBACK_HEADER, SERVER_NAME, SERVER_VERSION
from modelog_serving.oip.streaming import in_order
from modelog_serving.routing.warmup import Warmup

FULL_NAME = "inference.GRPCInferenceService"
# How Triton's clients ask to be told that an answer is the last one to its request, and how they are told.
FINAL_WANTED, FINAL = "triton_enable_empty_final_response", "triton_final_response"
log = structlog.get_logger()


class InferenceServicer(GRPCInferenceServiceServicer):
    """inference.GRPCInferenceService; whether the server lives may be asked without a token."""

    def __init__(self, inference: Inference, repository: Repository, warmup: Warmup, verifier: TokenVerifier) -> None:
        self._inference, self._repository = inference, repository
        self._warmup, self._verifier = warmup, verifier

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._warmup.ready)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Any) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name=SERVER_NAME, version=SERVER_VERSION, extensions=EXTENSIONS)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        with self._caller() as tenant:
            ready = await self._inference.ready(tenant, request.name, request.version)
        return pb.ModelReadyResponse(ready=ready)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        with self._caller() as tenant:
            return to_metadata(await self._inference.describe(tenant, request.name, request.version))

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        with self._caller() as tenant:
            if not request.model_name:
                raise NotFound("model_name is empty; give the name of a deployment")
            response = await self._inference.infer(tenant, request_of(request))
        if response.fallback and context is not None:
            await context.send_initial_metadata(((FALLBACK_HEADER, response.fallback),))
        return to_message(response, raw=len(request.raw_input_contents) > 0)

    async def ModelStreamInfer(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.ModelStreamInferResponse]:
        with self._caller():
            pass
        async with aclosing(in_order(request_iterator, self._streamed)) as answers:
            async for answer in answers:
                yield answer

    async def _streamed(self, request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
        """One answer of a stream, which goes on after a refusal; its token is looked at again, it may have ended."""
        try:
            answer = await self.ModelInfer(request, None)
        except ModelogError as error:
            text = str(error)
        except Exception:
            correlation_id = current_call().correlation_id
            log.exception("a request of a stream failed")
            text = f"internal error; the service's log has it under correlation id {correlation_id}"
        else:
            if request.parameters and request.parameters[FINAL_WANTED].bool_param:
                answer.parameters[FINAL].bool_param = True
            return pb.ModelStreamInferResponse(infer_response=answer)
        about = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
        return pb.ModelStreamInferResponse(error_message=text, infer_response=about)

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Any) -> pb.ModelConfigResponse:
        with self._caller() as tenant:
            described = await self._inference.describe(tenant, request.name, request.version)
        return pb.ModelConfigResponse(config=to_config(described))

    async def ModelStatistics(self, request: pb.ModelStatisticsRequest, context: Any) -> pb.ModelStatisticsResponse:
        with self._caller() as tenant:
            found = await self._repository.statistics(tenant, request.name, request.version)
        return pb.ModelStatisticsResponse(model_stats=map(to_statistics, found))

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Any) -> pb.RepositoryIndexResponse:
        with self._caller() as tenant:
            version_of(request.repository_name, {})
            found = await self._repository.index(tenant, only_ready=request.ready)
        return pb.RepositoryIndexResponse(
            models=[pb.RepositoryIndexResponse.ModelIndex(**asdict(one)) for one in found]
        )

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        with self._caller(LOADING) as tenant:
            await self._repository.load(tenant, request.model_name, _version_of(request))
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        with self._caller(LOADING) as tenant:
            await self._repository.unload(tenant, request.model_name, _version_of(request))
        return pb.RepositoryModelUnloadResponse()

    @contextmanager
    def _caller(self, permission: str = PERMISSION) -> Iterator[str]:
        """Act for the caller, whose tenant is given; the call was let in without a look at its token."""
        call = current_call()
        identity = identify(self._verifier, call.token, permission)
        with calling(replace(call, identity=identity)):
            yield identity.tenant


def _version_of(request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest) -> str:
    return version_of(request.repository_name, {name: choice_of(p) for name, p in request.parameters.items()})
