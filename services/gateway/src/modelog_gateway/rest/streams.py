"""What is not one message for one message: files up and down, and events as they happen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import grpc.aio
from aiohttp import web
from modelog_common.domain.errors import Invalid, ModelogError
from modelog_proto.lineage.v1.lineage_pb2 import StreamEventsRequest
from modelog_proto.lineage.v1.lineage_pb2_grpc import AuditServiceStub
from modelog_proto.registry.v1.artifact_pb2 import DownloadArtifactRequest, UploadArtifactRequest
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub

from modelog_gateway.rest.transcode import to_json

CHUNK_BYTES = 512 * 1024


class Streams:
    """Handlers of the three streaming routes."""

    def __init__(self, peer: Callable[[str], grpc.aio.Channel]) -> None:
        self._peer = peer

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """Body -> blob store. `X-Content-SHA256` is checked when it is given."""
        stub = ArtifactStoreStub(self._peer("registry"))
        expected = request.headers.get("X-Content-SHA256", "")
        stored = await stub.UploadArtifact(chunks(request, expected))
        return web.Response(text=to_json(stored), content_type="application/json")

    async def download(self, request: web.Request) -> web.StreamResponse:
        stub = ArtifactStoreStub(self._peer("registry"))
        parts = stub.DownloadArtifact(DownloadArtifactRequest(digest=request.match_info["digest"])).__aiter__()
        first = await anext(parts, None)  # an unknown digest fails here, before the status line is sent
        answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await answer.prepare(request)
        if first is not None:
            await answer.write(first.chunk)
            async for part in parts:
                await answer.write(part.chunk)
        await answer.write_eof()
        return answer

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events (WHATWG HTML, 9.2); the id of each is its position."""
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
            await answer.write(f"event: trouble\ndata: {error}\n\n".encode())
        except ConnectionResetError:
            pass  # the page was closed
        finally:
            events.cancel()
        return answer


async def chunks(request: web.Request, expected: str) -> AsyncIterator[UploadArtifactRequest]:
    async for data in request.content.iter_chunked(CHUNK_BYTES):
        yield UploadArtifactRequest(chunk=data)
    yield UploadArtifactRequest(expected_digest=expected)


def start_of(request: web.Request) -> int:
    text = request.headers.get("Last-Event-ID") or request.query.get("after", "0")
    if not text.isdigit():
        raise Invalid.field("after", f"{text!r} is not a position; it must be a whole number from 0")
    return int(text)
