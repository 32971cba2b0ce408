"""Files through the proxy: what a client puts is stored whole or not at all, and has an owner."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.rpc.errors import Unimplemented
from modelog_proto.registry.v1.experiment_pb2 import GetRunRequest
from modelog_proto.registry.v1.logged_model_pb2 import GetLoggedModelRequest
from modelog_proto.registry.v1.model_pb2 import Artifact

from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry, encode
from modelog_gateway.mlflow.folders import checked, folder_of, listed
from modelog_gateway.mlflow.locations import model_root, run_root
from modelog_gateway.mlflow.logged_models import OfModel
from modelog_gateway.mlflow.parts import InParts
from modelog_gateway.mlflow.runs import OfRun
from modelog_gateway.rest.streams import chunks, sent

PREFIXES = ("/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts")
# Clients look for these words before they fall back on one plain download.
NO_PARTS = "Multipart download is not supported for the current artifact repository"


def add_artifacts(app: web.Application, registry: Callable[[], Registry]) -> None:
    proxy, parts = Proxy(registry), InParts(registry)
    for prefix in PREFIXES:
        app.router.add_get(f"{prefix}/artifacts", proxy.list)
        # Not HEAD too, which add_get would give: it would read the file.
        app.router.add_route("GET", f"{prefix}/artifacts/{{path:.*}}", proxy.download)
        app.router.add_put(f"{prefix}/artifacts/{{path:.*}}", proxy.upload)
        app.router.add_delete(f"{prefix}/artifacts/{{path:.*}}", proxy.delete)
        app.router.add_post(f"{prefix}/mpu/create/{{path:.*}}", parts.create)
        app.router.add_post(f"{prefix}/mpu/complete/{{path:.*}}", parts.complete)
        app.router.add_post(f"{prefix}/mpu/abort/{{path:.*}}", parts.abort)
        app.router.add_get(f"{prefix}/presigned/{{rest:.*}}", _no_presigned)


class Proxy:
    """Handlers of the files."""

    def __init__(self, registry: Callable[[], Registry]) -> None:
        self._registry = registry

    async def upload(self, request: web.Request) -> web.StreamResponse:
        registry = self._registry()
        folder, path = folder_of(request.match_info["path"])
        if not path:
            raise Invalid.field("path", "names a folder; it must name a file in it")
        stored = await registry.artifacts.UploadArtifact(chunks(request, ""))
        await folder.add(registry, Artifact(path=path, digest=stored.digest, size_bytes=stored.size_bytes))
        return web.Response(body=b"{}", content_type="application/json")

    async def delete(self, request: web.Request) -> web.StreamResponse:
        folder, path = folder_of(request.match_info["path"])
        await folder.remove(self._registry(), path)
        return web.Response(body=b"{}", content_type="application/json")

    async def download(self, request: web.Request) -> web.StreamResponse:
        registry = self._registry()
        folder, path = folder_of(request.match_info["path"])
        file = (await folder.files(registry, path)).get(path)
        if file is None:
            raise NotFound(f"there is no file {path!r} in the {folder.kind.value} {folder.owner}")
        return await sent(request, registry.artifacts, file.digest, saved(file))

    async def list(self, request: web.Request) -> web.StreamResponse:
        registry = self._registry()
        folder, path = folder_of(request.query.get("path", ""))
        files = listed((await folder.files(registry, path)).values(), path)
        return web.Response(body=encode({"files": files}), content_type="application/json")


def saved(file: Artifact) -> web.StreamResponse:
    """The answer that a file is sent in; a browser saves it and never shows it as a page of ours."""
    name = file.path.rpartition("/")[2]
    answer = web.StreamResponse(
        headers={
            "Content-Type": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "Content-Disposition": "attachment",
            "X-Content-Type-Options": "nosniff",
        }
    )
    answer.content_length = file.size_bytes
    return answer


async def _no_presigned(_: web.Request) -> web.StreamResponse:
    raise Unimplemented(NO_PARTS)


class ListOfRun(OfRun):
    path: str = ""


class ListOfModel(OfModel):
    artifact_directory_path: str = ""


async def list_of_run(registry: Registry, asked: ListOfRun) -> Answer:
    run = await registry.experiments.GetRun(GetRunRequest(run_id=asked.id, without_points=True))
    root = run_root(await registry.locations.of(run.experiment_id), run.id)
    return {"root_uri": root, "files": from_root(run.artifacts, asked.path)}


async def list_of_model(registry: Registry, asked: ListOfModel) -> Answer:
    model = await registry.logged_models.GetLoggedModel(GetLoggedModelRequest(model_id=asked.model_id))
    root = model_root(await registry.locations.of(model.experiment_id), model.id)
    return {"root_uri": root, "files": from_root(model.artifacts, asked.artifact_directory_path)}


def from_root(files: Iterable[Artifact], folder: str) -> list[dict[str, Any]]:
    """What is directly in a folder, by paths from the root."""
    folder = checked(folder, "path")
    prefix = f"{folder}/" if folder else ""
    return [entry | {"path": prefix + entry["path"]} for entry in listed(files, folder)]


ENDPOINTS = (
    Endpoint("GET", "/artifacts/list", ListOfRun, list_of_run),
    Endpoint("GET", "/logged-models/{model_id}/artifacts/directories", ListOfModel, list_of_model),
)
