"""modelog.registry.v1.ArtifactStore over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import Invalid
from modelog_common.stores.uploads import Part
from modelog_proto.registry.v1 import artifact_pb2 as pb
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreServicer

from modelog_registry.api.calls import command_call, tenant
from modelog_registry.handle.artifacts import Artifacts, Piece
from modelog_registry.handle.uploads import OnItsWay, Uploading
from modelog_registry.read.messages import timestamp

Call = grpc.aio.ServicerContext[Any, Any]


class ArtifactServicer(ArtifactStoreServicer):
    """Files, named by their content."""

    def __init__(self, artifacts: Artifacts, uploading: Uploading, clock: Clock) -> None:
        self._artifacts, self._uploading, self._clock = artifacts, uploading, clock

    async def UploadArtifact(
        self, request_iterator: AsyncIterator[pb.UploadArtifactRequest], context: Call
    ) -> pb.UploadArtifactResponse:
        pieces = (Piece(message.chunk, message.expected_digest) async for message in request_iterator)
        stored = await self._artifacts.put(tenant(), pieces)
        return pb.UploadArtifactResponse(digest=stored.digest, size_bytes=stored.size_bytes)

    async def BeginUpload(self, request: pb.BeginUploadRequest, context: Call) -> pb.Upload:
        ctx = command_call(self._clock, request.request_id, "BeginUpload")
        return upload_message(await self._uploading.begin(request.expected_digest, request.size_bytes, ctx))

    async def UploadPart(self, request_iterator: AsyncIterator[pb.UploadPartRequest], context: Call) -> pb.UploadedPart:
        messages = aiter(request_iterator)
        first = await first_of(messages)
        ctx = command_call(self._clock, "", "UploadPart")
        part = await self._uploading.keep(
            first.upload_id, first.number, chunks_of(first, messages), first.expected_digest, ctx
        )
        return part_message(part)

    async def GetUpload(self, request: pb.GetUploadRequest, context: Call) -> pb.Upload:
        return upload_message(await self._uploading.get(request.upload_id, command_call(self._clock, "", "GetUpload")))

    async def CompleteUpload(self, request: pb.CompleteUploadRequest, context: Call) -> pb.UploadArtifactResponse:
        ctx = command_call(self._clock, request.request_id, "CompleteUpload")
        told = [Part(part.number, part.digest, part.size_bytes) for part in request.parts]
        stored = await self._uploading.complete(request.upload_id, told, ctx)
        return pb.UploadArtifactResponse(digest=stored.digest, size_bytes=stored.size_bytes)

    async def AbortUpload(self, request: pb.AbortUploadRequest, context: Call) -> pb.AbortUploadResponse:
        await self._uploading.abort(request.upload_id, command_call(self._clock, request.request_id, "AbortUpload"))
        return pb.AbortUploadResponse()

    async def DownloadArtifact(
        self, request: pb.DownloadArtifactRequest, context: Call
    ) -> AsyncIterator[pb.DownloadArtifactResponse]:
        async for chunk in self._artifacts.open(tenant(), request.digest):
            yield pb.DownloadArtifactResponse(chunk=chunk)


async def first_of(messages: AsyncIterator[pb.UploadPartRequest]) -> pb.UploadPartRequest:
    """The message that says what is sent."""
    async for message in messages:
        return message
    raise Invalid.field("upload_id", "is missing; a part has at least one message, which names its upload")


async def chunks_of(first: pb.UploadPartRequest, others: AsyncIterator[pb.UploadPartRequest]) -> AsyncIterator[bytes]:
    """The bytes of one part."""
    yield first.chunk
    async for message in others:
        if (message.upload_id, message.number) != (first.upload_id, first.number):
            raise Invalid.field("number", f"is {message.number} of {message.upload_id}; a stream is of one part")
        yield message.chunk


def upload_message(upload: OnItsWay) -> pb.Upload:
    return pb.Upload(
        id=upload.upload_id,
        expected_digest=upload.begun.expected_digest,
        size_bytes=upload.begun.size_bytes,
        parts=[part_message(part) for part in upload.parts],
        held_bytes=upload.held_bytes,
        stored=upload.stored is not None,
        kept_until=None if upload.kept_until is None else timestamp(upload.kept_until),
    )


def part_message(part: Part) -> pb.UploadedPart:
    return pb.UploadedPart(number=part.number, digest=part.digest, size_bytes=part.size_bytes)
