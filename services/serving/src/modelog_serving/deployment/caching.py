"""For how long answers of a deployment are given again, and how much memory they may take. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.domain.errors import Invalid

LONGEST_TTL_S = 30 * 86_400
USUAL_BYTES = 64 << 20
LEAST_BYTES, MOST_BYTES = 1 << 16, 1 << 30


class Caching(msgspec.Struct, frozen=True):
    """An answer is given again for `ttl_s`; what is kept in a process takes at most `max_bytes`.

    What was kept before `since` is not given any more: whoever turns the cache off and on again begins with nothing.
    """

    ttl_s: int
    max_bytes: int
    since: datetime


def check_caching(ttl_s: int, max_bytes: int) -> None:
    """Raise Invalid, naming the field, for what cannot be; `ttl_s` is 0 for no cache."""
    if not 0 <= ttl_s <= LONGEST_TTL_S:
        raise Invalid.field("ttl_s", f"is {ttl_s}; it must be from 0, for no cache, to {LONGEST_TTL_S}")
    if ttl_s and not LEAST_BYTES <= max_bytes <= MOST_BYTES:
        raise Invalid.field("max_bytes", f"is {max_bytes}; it must be from {LEAST_BYTES} to {MOST_BYTES}")
