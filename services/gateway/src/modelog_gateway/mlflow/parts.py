"""MLflow's methods for files that come in parts: it is told where they go, and the file is there once all have come."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from aiohttp import web
from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1 import artifact_pb2 as pb
from modelog_proto.registry.v1.model_pb2 import Artifact

from modelog_gateway.mlflow.endpoints import Registry, encode
from modelog_gateway.mlflow.folders import Folder, checked, folder_of
from modelog_gateway.mlflow.requests import parser_of

PARTS = 10_000
# Making one file of the parts takes as long as copying it.
COMPLETE_S = 600.0


class Create(msgspec.Struct):
    path: str
    num_parts: int = 1


class Part(msgspec.Struct):
    part_number: int
    etag: str | None = None


class Complete(msgspec.Struct):
    path: str
    upload_id: str
    parts: list[Part]


class Abort(msgspec.Struct):
    path: str
    upload_id: str


_create, _complete, _abort = parser_of(Create), parser_of(Complete), parser_of(Abort)


class InParts:
    """Handlers of `mpu/create`, `mpu/complete` and `mpu/abort`."""

    def __init__(self, registry: Callable[[], Registry]) -> None:
        self._registry = registry

    async def create(self, request: web.Request) -> web.StreamResponse:
        """The parts go to addresses of ours, with the caller's own token, which is told to nobody else."""
        registry = self._registry()
        asked: Create = _create({}, (), await request.read())
        folder, _ = target(request, asked.path)
        if not 1 <= asked.num_parts <= PARTS:
            raise Invalid.field("num_parts", f"is {asked.num_parts}; a file comes in 1 to {PARTS} parts")
        await folder.find_owner(registry)
        upload = await registry.artifacts.BeginUpload(pb.BeginUploadRequest())
        headers = {"Authorization": request.headers.get("Authorization", "")}
        credentials = [
            {"url": f"{origin_of(request)}/api/v1/uploads/{upload.id}/parts/{n}", "part_number": n, "headers": headers}
            for n in range(1, asked.num_parts + 1)
        ]
        return _told({"upload_id": upload.id, "credentials": credentials})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        registry = self._registry()
        asked: Complete = _complete({}, (), await request.read())
        folder, path = target(request, asked.path)
        parts = [pb.UploadedPart(number=p.part_number, digest=(p.etag or "").strip('"')) for p in asked.parts]
        stored = await registry.artifacts.CompleteUpload(
            pb.CompleteUploadRequest(upload_id=asked.upload_id, parts=parts), timeout=COMPLETE_S
        )
        await folder.add(registry, Artifact(path=path, digest=stored.digest, size_bytes=stored.size_bytes))
        return _told({})

    async def abort(self, request: web.Request) -> web.StreamResponse:
        asked: Abort = _abort({}, (), await request.read())
        await self._registry().artifacts.AbortUpload(pb.AbortUploadRequest(upload_id=asked.upload_id))
        return _told({})


def target(request: web.Request, local_file: str) -> tuple[Folder, str]:
    """Whose file it will be, and its path: in the folder of the address, under its name on the client's disk."""
    folder, inside = folder_of(request.match_info["path"])
    name = checked(re.split(r"[\\/]", local_file)[-1], "path")
    if not name:
        raise Invalid.field("path", f"{local_file[:200]!r} names no file")
    return folder, f"{inside}/{name}" if inside else name


def origin_of(request: web.Request) -> str:
    """The address by which the caller reaches this gateway, also through a proxy that ends TLS."""
    told = request.headers.get("X-Forwarded-Proto", "")
    return f"{told if told in ('http', 'https') else request.scheme}://{request.host}"


def _told(answer: dict[str, object]) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=encode(answer), content_type="application/json", headers=headers)
