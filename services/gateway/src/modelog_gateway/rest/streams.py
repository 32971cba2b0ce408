"""What is not one message for one message: files up and down, and events as they happen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import grpc.aio
from aiohttp import web
from google.protobuf.descriptor import MethodDescriptor
from modelog_common.domain.errors import Forbidden, Invalid, ModelogError
from modelog_common.rpc.call import current_call
from modelog_common.security.permissions import roles_with
from modelog_proto.common.v1 import options_pb2
from modelog_proto.lineage.v1 import lineage_pb2
from modelog_proto.lineage.v1.lineage_pb2 import StreamEventsRequest
from modelog_proto.lineage.v1.lineage_pb2_grpc import AuditServiceStub
from modelog_proto.registry.v1.artifact_pb2 import (
    DownloadArtifactRequest,
    UploadArtifactRequest,
    UploadPartRequest,
)
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub

from modelog_gateway.rest import links
from modelog_gateway.rest.transcode import to_json

if TYPE_CHECKING:
    from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreAsyncStub

CHUNK_BYTES = 512 * 1024
SHA256_HEADER = "X-Content-SHA256"
# A file is never shown as a page of this address: whoever wrote it would act for whoever looks.
FILE_HEADERS = {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
}
SHA256 = re.compile(r"[0-9a-f]{64}")
PART_NUMBER = re.compile(r"[0-9]{1,5}")
POSITION = re.compile(r"[0-9]{1,18}")
STREAM_EVENTS = lineage_pb2.DESCRIPTOR.services_by_name["AuditService"].methods_by_name["StreamEvents"]


class Streams:
    """Handlers of the streaming routes."""

    def __init__(self, peer: Callable[[str], grpc.aio.Channel]) -> None:
        self._peer = peer

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """Body -> blob store. `X-Content-SHA256` is checked when it is given."""
        stub = ArtifactStoreStub(self._peer("registry"))
        stored = await stub.UploadArtifact(chunks(request, expected_of(request)))
        return web.Response(text=to_json(stored), content_type="application/json")

    async def upload_part(self, request: web.Request) -> web.StreamResponse:
        """Body -> part of a file that comes in parts; the answer's ETag is its digest."""
        stub = ArtifactStoreStub(self._peer("registry"))
        number = request.match_info["number"]
        if not PART_NUMBER.fullmatch(number):
            raise Invalid.field(
                "number", f"{number[:40]!r} is no number of a part; it must be a number from 1 to 10000"
            )
        part = UploadPartRequest(upload_id=request.match_info["upload_id"], number=int(number))
        held = await stub.UploadPart(part_chunks(request, part, expected_of(request)))
        headers = {"ETag": f'"{held.digest}"'}
        return web.Response(text=to_json(held), content_type="application/json", headers=headers)

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Lets the caller's browser fetch a file; what it could not fetch is refused here, where it can be said."""
        digest = request.match_info["digest"]
        parts = ArtifactStoreStub(self._peer("registry")).DownloadArtifact(DownloadArtifactRequest(digest=digest))
        await anext(aiter(parts), None)
        parts.cancel()
        return links.opened(digest, secure=request.secure)

    async def download(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers=FILE_HEADERS)
        return await sent(request, ArtifactStoreStub(self._peer("registry")), request.match_info["digest"], answer)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events (WHATWG HTML, 9.2); the id of each is its position."""
        require(STREAM_EVENTS)
        stub = AuditServiceStub(self._peer("lineage"))
        events = stub.StreamEvents(StreamEventsRequest(after=start_of(request)))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(request)
        try:
            await answer.write(b": connected\n\n")
            async for event in events:
                await answer.write(f"id: {event.position}\nevent: event\ndata: {to_json(event)}\n\n".encode())
        except ModelogError as error:
            # The stream has begun, so the status line is gone: tell the page, which connects again by itself.
            text = " ".join(str(error).split())
            await answer.write(f"event: trouble\ndata: {text}\n\n".encode())
        finally:
            events.cancel()
        return answer


async def sent(
    request: web.Request, artifacts: ArtifactStoreAsyncStub, digest: str, answer: web.StreamResponse
) -> web.StreamResponse:
    """Blob store -> `answer`, whose headers are set and not sent yet."""
    parts = artifacts.DownloadArtifact(DownloadArtifactRequest(digest=digest)).__aiter__()
    first = await anext(parts, None)  # an unknown digest fails here, before the status line is sent
    await answer.prepare(request)
    try:
        if first is not None:
            await answer.write(first.chunk)
            async for part in parts:
                await answer.write(part.chunk)
    except ModelogError:
        # The status line is gone, so only a connection that breaks off tells the caller that this is not all.
        if request.transport is not None:
            request.transport.abort()
        raise
    await answer.write_eof()
    return answer


def expected_of(request: web.Request) -> str:
    """The digest that what is sent must have; empty when the caller says none."""
    expected = request.headers.get(SHA256_HEADER, "")
    if SHA256_HEADER in request.headers and not SHA256.fullmatch(expected):
        raise Invalid.field(SHA256_HEADER, f"{expected[:80]!r} is no SHA-256; it must be 64 digits of 0-9 and a-f")
    return expected


async def part_chunks(request: web.Request, part: UploadPartRequest, expected: str) -> AsyncIterator[UploadPartRequest]:
    yield UploadPartRequest(upload_id=part.upload_id, number=part.number, expected_digest=expected)
    async for data in request.content.iter_chunked(CHUNK_BYTES):
        yield UploadPartRequest(upload_id=part.upload_id, number=part.number, chunk=data)


async def chunks(request: web.Request, expected: str) -> AsyncIterator[UploadArtifactRequest]:
    async for data in request.content.iter_chunked(CHUNK_BYTES):
        yield UploadArtifactRequest(chunk=data)
    yield UploadArtifactRequest(expected_digest=expected)


def start_of(request: web.Request) -> int:
    """The position after which a stream begins: of `Last-Event-ID`, else of `after`, else 0."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after", "0")
    if not POSITION.fullmatch(text):
        raise Invalid.field("after", f"{text[:40]!r} is not a position; it must be a whole number of at most 18 digits")
    return int(text)


def require(method: MethodDescriptor) -> None:
    """Refuse, before the answer begins, a caller who may not call this method."""
    permission = method.GetOptions().Extensions[options_pb2.permission]
    identity = current_call().identity
    if not identity.may(permission):
        roles = ", ".join(roles_with(permission))
        raise Forbidden(f"{identity.user} may not read the event stream; it needs {permission}, which {roles} have")
