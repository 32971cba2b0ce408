"""modelog.registry.v1.ArtifactStore over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from modelog_proto.registry.v1 import artifact_pb2 as pb
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreServicer

from modelog_registry.api.calls import tenant
from modelog_registry.handle.artifacts import Artifacts, Piece

Call = grpc.aio.ServicerContext[Any, Any]


class ArtifactServicer(ArtifactStoreServicer):
    """Files, named by their content."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    async def UploadArtifact(
        self, request_iterator: AsyncIterator[pb.UploadArtifactRequest], context: Call
    ) -> pb.UploadArtifactResponse:
        pieces = (Piece(message.chunk, message.expected_digest) async for message in request_iterator)
        stored = await self._artifacts.put(tenant(), pieces)
        return pb.UploadArtifactResponse(digest=stored.digest, size_bytes=stored.size_bytes)

    async def DownloadArtifact(
        self, request: pb.DownloadArtifactRequest, context: Call
    ) -> AsyncIterator[pb.DownloadArtifactResponse]:
        async for chunk in self._artifacts.open(tenant(), request.digest):
            yield pb.DownloadArtifactResponse(chunk=chunk)
