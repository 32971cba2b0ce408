"""The web pages: one document at every page's address, whose scripts ask the REST interface for what it shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

ADDRESSES = (
    "/",
    "/models",
    "/models/{name}",
    "/compare",
    "/experiments",
    "/experiments/{id}",
    "/runs/{id}",
    "/diff",
    "/datasets",
    "/workspaces",
    "/datasets/{name}",
    "/deployments/{name}",
    "/retrainings/{id}",
    "/ab-tests/{name}",
)
# What a link shows: a document of its own, which asks nobody who they are.
SHARED = "/shared"
# Nobody needs a token for a document without content, nor for its scripts.
PUBLIC = (*(address.partition("{")[0] for address in ADDRESSES), SHARED, "/static/")
# Scripts, styles and answers come from here alone; nothing inline runs. Previews are blobs that a script made.
POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data: blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # An address holds names, which are nobody else's business.
    "Referrer-Policy": "no-referrer",
    # Asked for again each time, and answered with 304 when it is the same: after an update no page is of two versions.
    "Cache-Control": "no-cache",
}


def add_pages(app: web.Application) -> None:
    folder = files("modelog_gateway") / "web"
    page, shared = (_page((folder / name).read_text()) for name in ("index.html", "shared.html"))
    for address in ADDRESSES:
        app.router.add_get(address, page)
    app.router.add_get(SHARED, shared)
    app.router.add_static("/static/", str(folder))
    app.on_response_prepare.append(protected)


def _page(document: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text=document, content_type="text/html")

    return page


async def protected(request: web.Request, answer: web.StreamResponse) -> None:
    """Tell the browser what a page may do."""
    if answer.content_type == "text/html" or request.path.startswith("/static/"):
        answer.headers.update(HEADERS)
