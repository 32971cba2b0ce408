"""Files that a browser fetches by itself, and writes to the disk as they come: a link carries no Authorization header.

The page asks first, as it asks for everything. The answer is a cookie that holds the caller's own token, which no
script can read, and which the browser sends for a minute, to this one file, from pages of this address alone.
"""

from __future__ import annotations

import re

from aiohttp import web
from modelog_common.rpc.call import current_call

COOKIE = "modelog-file"
GOOD_S = 60
FILE = "/api/v1/artifacts/{digest}"
_FILE = re.compile(r"/api/v1/artifacts/[0-9a-f]{64}")


def opened(digest: str, *, secure: bool) -> web.Response:
    """The answer that opens a file to the browser of the caller."""
    answer = web.Response(text="{}", content_type="application/json")
    answer.set_cookie(
        COOKIE,
        current_call().token,
        max_age=GOOD_S,
        path=FILE.format(digest=digest),
        httponly=True,
        secure=secure,
        samesite="Strict",
    )
    return answer


def token_of(request: web.Request) -> str:
    """The token of a file that was opened; empty for anything else."""
    if request.method != "GET" or "Authorization" in request.headers or not _FILE.fullmatch(request.path):
        return ""
    return request.cookies.get(COOKIE, "")
