"""Lists longer than a page of ours: MLflow's clients ask for up to 50,000 at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from modelog_common.domain.errors import Invalid
from modelog_proto.common.v1.common_pb2 import Page

Item = TypeVar("Item")
OUR_PAGE = 1000
MOST = 50_000


async def gathered(
    page_of: Callable[[Page], Awaitable[tuple[Sequence[Item], str]]], most: int, token: str
) -> tuple[list[Item], str]:
    """At most `most` items from `token` on, and the token of what follows; `page_of` reads one page of ours."""
    if not 0 < most <= MOST:
        raise Invalid.field("max_results", f"is {most}; it must be from 1 to {MOST}")
    found: list[Item] = []
    while True:
        items, token = await page_of(Page(size=min(most - len(found), OUR_PAGE), token=token))
        found.extend(items)
        if not token or len(found) >= most:
            return found, token
