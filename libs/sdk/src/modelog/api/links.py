"""Links that show one thing, to whoever has them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import List, Optional

from modelog.places import CreatedLink, Link, SharedThing
from modelog.transport import Transport
from modelog.types import Record


class _Links(Record):
    links: List[Link] = []
    next_page_token: str = ""


class Links:
    """Sharing an experiment, a run or a version with somebody who is no member, or has no token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self, *, experiment_id: str = "", run_id: str = "", model: str = "", version: str = "", days: float = 7
    ) -> CreatedLink:
        """Share one thing for some days, at most 90; the token is told once."""
        body = {
            "experiment_id": experiment_id,
            "run_id": run_id,
            "model": model,
            "version": version,
            "expires_at": datetime.now(timezone.utc) + timedelta(days=days),
        }
        return self._transport.post("/api/v1/links", CreatedLink, body)

    def list(
        self,
        *,
        experiment_id: str = "",
        run_id: str = "",
        model: str = "",
        version: str = "",
        as_of: Optional[str] = None,
    ) -> List[Link]:
        """Links that were made of one thing, or all, newest first."""
        return self._transport.every(
            "/api/v1/links",
            _Links,
            lambda page: page.links,
            experiment_id=experiment_id or None,
            run_id=run_id or None,
            model=model or None,
            version=version or None,
            as_of=as_of,
        )

    def revoke(self, link_id: str) -> Link:
        """Let nobody see by a link any more."""
        return self._transport.post(f"/api/v1/links/{link_id}/revoke", Link, {})

    def open(self, token: str) -> SharedThing:
        """What a link shows now; the client needs no token of its own for it."""
        return self._transport.post("/api/v1/links/open", SharedThing, {"token": token}, repeatable=True)
