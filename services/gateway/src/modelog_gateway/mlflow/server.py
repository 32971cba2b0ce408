"""What a client asks of the server itself, before it knows who calls: alive, which version, able to do what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

# The version whose API this is. Clients parse it to know which methods they may call.
SPOKEN_VERSION = "3.17.2"
ABILITIES = {
    "store_type": "SqlStore",
    "workspaces_enabled": True,
    "trace_archival_enabled": False,
    # Files go through the proxy in one piece, which is faster, since MLflow's clients do not resume what broke off. One
    # that is told to send parts by its environment does not ask here.
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
    "presigned_upload_run_id_supported": False,
    "presigned_upload_model_id_supported": False,
    "features_enabled": {"gateway": False},
}
INFO_PATHS = tuple(f"/{api}/3.0/mlflow/server-info" for api in ("api", "ajax-api"))
PATHS = ("/health", "/version", *INFO_PATHS)


def add_server(app: web.Application) -> None:
    app.router.add_get("/health", _telling("OK", "text/plain"))
    app.router.add_get("/version", _telling(SPOKEN_VERSION, "text/plain"))
    abilities = msgspec.json.encode(ABILITIES).decode()
    for path in INFO_PATHS:
        app.router.add_get(path, _telling(abilities, "application/json"))


def _telling(text: str, content_type: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=content_type)

    return handle
