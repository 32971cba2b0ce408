"""Identifiers: new ones in time order (UUIDv7, RFC 9562), and ones derived from a name."""

from __future__ import annotations

import secrets
import time
from uuid import UUID, uuid5

NAMESPACE = UUID("6f1d0f0c-6d0e-5c43-8d0b-6d6f64656c6f")


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then random bits (RFC 9562, section 5.7)."""
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def derived_id(*parts: str) -> str:
    """The id that always belongs to these parts: the same command, sent twice, makes the same event ids."""
    return str(uuid5(NAMESPACE, "\x1f".join(parts)))
