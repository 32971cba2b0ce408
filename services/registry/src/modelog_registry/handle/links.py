"""Commands about links: the secret is made here, and only its hash goes on."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import AlreadyExists
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.link.commands import LinkCommand, MakeLink, RevokeLink
from modelog_registry.link.decide import Link
from modelog_registry.link.events import LinkEvent, LinkMade, Shared

SECRET_BYTES = 32


class Links:
    """The links of all tenants."""

    def __init__(self, entities: Entities[Link, LinkCommand, LinkEvent], clock: Clock) -> None:
        self._entities, self._clock = entities, clock

    async def make(self, shared: Shared, expires_at: datetime, ctx: Context) -> tuple[str, str, int]:
        """The link's id, its token, which nobody can be told again, and the position."""
        link_id = derived_id("link", ctx.tenant, ctx.request_id)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        made = await self._entities.handle(link_id, MakeLink(link_id, shared, _hash_of(secret), expires_at), ctx)
        if made.state.existing(link_id, ctx.tenant).secret_sha256 != _hash_of(secret):
            raise AlreadyExists(
                f"this request made the link {link_id} before, and its token is told once; make another"
            )
        return link_id, f"{link_id}.{secret}", made.position

    async def revoke(self, link_id: str, ctx: Context) -> int:
        """Doing it twice is not an error."""
        return (await self._entities.handle(link_id, RevokeLink(link_id), ctx)).position

    async def opened(self, token: str) -> LinkMade:
        """What a token shows now; raises NotFound."""
        link_id, _, secret = token.partition(".")
        return (await self._entities.current(link_id)).state.opened_by(_hash_of(secret), self._clock.now())


def _hash_of(secret: str) -> str:
    """A secret is as random as its hash is long, so nothing slower is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
