"""The rules of links: they expire, and what was revoked stays so."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Invalid, NotFound

from modelog_registry.link.commands import LinkCommand, MakeLink, RevokeLink
from modelog_registry.link.events import LinkEvent, LinkMade, LinkRevoked

LONGEST = timedelta(days=90)


@dataclass(frozen=True)
class Link:
    """A link; before its first event there is none."""

    made: LinkMade | None = None
    revoked: LinkRevoked | None = None

    def existing(self, link_id: str, tenant: str) -> LinkMade:
        """How it was made; raises NotFound, also for another tenant's."""
        if self.made is None or self.made.tenant != tenant:
            raise NotFound(f"there is no link {link_id!r}")
        return self.made

    def opened_by(self, secret_sha256: str, now: datetime) -> LinkMade:
        """What it shares; raises NotFound, which does not say what is wrong with it."""
        made = self.made
        is_good = made is not None and self.revoked is None and now < made.expires_at
        if made is None or not is_good or not hmac.compare_digest(made.secret_sha256, secret_sha256):
            raise NotFound(
                "this link shows nothing: it expired, was revoked, or never was; ask who sent it for another"
            )
        return made


def evolve(link: Link, event: LinkEvent) -> Link:
    """Fold one event."""
    match event:
        case LinkMade():
            return Link(event)
        case LinkRevoked():
            return replace(link, revoked=event)
        case _:
            assert_never(event)


def decide(link: Link, command: LinkCommand, ctx: Context) -> Sequence[LinkEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case MakeLink(link_id, shared, secret_sha256, expires_at):
            if not ctx.now < expires_at <= ctx.now + LONGEST:
                raise Invalid.field(
                    "expires_at",
                    f"is {expires_at:%Y-%m-%dT%H:%M:%SZ}; allowed: after now, and within {LONGEST.days} days",
                )
            return [LinkMade(link_id, ctx.tenant, shared, secret_sha256, expires_at, ctx.actor, ctx.now)]
        case RevokeLink(link_id):
            link.existing(link_id, ctx.tenant)
            return [] if link.revoked is not None else [LinkRevoked(link_id, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


LINK: Decider[Link, LinkCommand, LinkEvent] = Decider("registry.link", Link, decide, evolve)
