"""Questions to the catalogue, as of a moment, for one tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import EventStore
from modelog_common.read.moment import ReadOptions, moment_of
from modelog_common.stores.search import Found, Query, SearchStore
from modelog_common.stores.search.checks import STILL, place_of

from modelog_lineage.catalogue.documents import KINDS
from modelog_lineage.follow import Follower

DEFAULT_PAGE = 20


class Page(Protocol):
    """modelog.common.v1.Page."""

    size: int
    token: str


class CatalogueQueries:
    """Searches; raises Unavailable, with the reason, while the index is away or too far behind."""

    def __init__(self, search: SearchStore, follower: Follower, store: EventStore) -> None:
        self._search, self._follower, self._store = search, follower, store

    async def search(
        self, tenant: str, text: str, kinds: Sequence[str], tags: Sequence[str], page: Page, read: ReadOptions
    ) -> Found:
        """A page of what matches; `tags` are texts "name=value". The page's token holds the moment."""
        at, after = _position_of(page.token)
        if at is None:
            at = await moment_of(read, self._store, self._follower)
        query = Query(tenant, text, _kinds(kinds), _pairs(tags), at, page.size or DEFAULT_PAGE, after)
        found = await self._search.find(query)
        if found.next and at is None:
            # "Now" may be later than the position that the index covers: only a position makes the pages one world.
            at = self._follower.position
            found = await self._search.find(replace(query, at=at))
        return replace(found, next=f"{at}.{found.next}" if found.next else "")


def _position_of(token: str) -> tuple[int | None, str]:
    if not token:
        return None, ""
    position, _, after = token.partition(".")
    try:
        if place_of(after) is not None and 0 <= int(position) < STILL:
            return int(position), after
    except (Invalid, ValueError):
        pass
    raise Invalid.field("page.token", "is not a token that an earlier answer gave")


def _kinds(kinds: Sequence[str]) -> Sequence[str]:
    for kind in kinds:
        if kind not in KINDS:
            raise Invalid.field("kinds", f"{kind!r} is not in the catalogue; it has {', '.join(KINDS)}")
    return kinds


def _pairs(tags: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags:
        name, equals, value = tag.partition("=")
        if not equals:
            raise Invalid.field("tags", f"{tag!r} must look like name=value, such as stage=production")
        if found.get(name, value) != value:
            raise Invalid.field("tags", f"{name} cannot be both {found[name]!r} and {value!r}")
        found[name] = value
    return found
