"""The port to a cache: bytes under a name, for a while, that may be gone at any moment."""

from __future__ import annotations

from typing import Protocol

from modelog_common.domain.errors import Invalid

MAX_KEY_BYTES = 1024
LONGEST_S = 10 * 365 * 86_400


class Cache(Protocol):
    """Remembers what can be had again otherwise.

    A cache that is away is a miss, never an error; its adapter says so in the log and in a metric. Every method raises
    Invalid for a key that is empty or longer than 1,024 bytes.
    """

    async def get(self, key: str) -> bytes | None:
        """What was put there last, or None: never put, too old, displaced by others, or the cache is away."""
        ...

    async def put(self, key: str, value: bytes, *, lasts_s: float | None = None) -> None:
        """Remember it for so many seconds, at most ten years; without a number until it is displaced.

        Raises Invalid for a time that is not above zero or too long.
        """
        ...

    async def drop(self, key: str) -> None:
        """Forget it. A cache that is away may still have it when it returns."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def check_key(key: str) -> None:
    """Raise Invalid for a key that the port does not allow."""
    if not 0 < len(key.encode()) <= MAX_KEY_BYTES:
        raise Invalid.field("key", f"has {len(key.encode())} bytes; it must have 1 to {MAX_KEY_BYTES}")


def check_time(lasts_s: float | None) -> None:
    """Raise Invalid for a time that the port does not allow."""
    if lasts_s is not None and not 0.001 <= lasts_s <= LONGEST_S:
        raise Invalid.field("lasts_s", f"is {lasts_s}; it must be from 0.001 to {LONGEST_S} seconds, or None")
