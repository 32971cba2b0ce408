"""The web pages: one document at every page's address, whose scripts ask the REST interface for what it shows."""

from __future__ import annotations

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
    "/datasets/{name}",
    "/deployments/{name}",
    "/ab-tests/{name}",
)
# Nobody needs a token for a document without content, nor for its scripts.
PUBLIC = (*(address.partition("{")[0] for address in ADDRESSES), "/static/")
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
    document = (folder / "index.html").read_text()

    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text=document, content_type="text/html")

    for address in ADDRESSES:
        app.router.add_get(address, page)
    app.router.add_static("/static/", str(folder))
    app.on_response_prepare.append(protected)


async def protected(request: web.Request, answer: web.StreamResponse) -> None:
    """Tell the browser what a page may do."""
    if answer.content_type == "text/html" or request.path.startswith("/static/"):
        answer.headers.update(HEADERS)
