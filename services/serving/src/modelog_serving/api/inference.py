"""The gRPC edge of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from modelog_common.domain.errors import NotFound
from modelog_common.rpc.call import calling, current_call
from modelog_common.security.tokens import TokenVerifier
from modelog_proto.inference import grpc_predict_v2_pb2 as pb
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceServicer

from modelog_serving.oip.access import identify
from modelog_serving.oip.core import Inference
from modelog_serving.oip.grpc_codec import request_of, to_message, to_metadata
from modelog_serving.oip.server import EXTENSIONS, SERVER_NAME, SERVER_VERSION
from modelog_serving.routing.warmup import Warmup

FULL_NAME = "inference.GRPCInferenceService"


class InferenceServicer(GRPCInferenceServiceServicer):
    """inference.GRPCInferenceService; whether the server lives may be asked without a token."""

    def __init__(self, inference: Inference, warmup: Warmup, verifier: TokenVerifier) -> None:
        self._inference, self._warmup, self._verifier = inference, warmup, verifier

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
        return to_message(response, raw=len(request.raw_input_contents) > 0)

    @contextmanager
    def _caller(self) -> Iterator[str]:
        """Act for the caller, whose tenant is given; the call was let in without a look at its token."""
        call = current_call()
        identity = identify(self._verifier, call.token)
        with calling(replace(call, identity=identity)):
            yield identity.tenant
