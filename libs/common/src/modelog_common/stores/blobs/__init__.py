"""The port to blobs: bytes named by their content."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from modelog_common.domain.errors import Invalid

CHUNK_BYTES = 1 << 20
# A digest, or what tells it once all has come; None and "" stand for any.
Expected: TypeAlias = str | Callable[[], str] | None
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """What was stored: its SHA-256 as 64 hexadecimal digits, and its length."""

    digest: str
    size_bytes: int


class BlobStore(Protocol):
    """Bytes, named by their SHA-256. What is stored never changes, and storing it twice is storing it once.

    Every method that takes a digest raises Invalid for one that is not 64 lower-case hexadecimal digits.
    """

    async def put(self, chunks: AsyncIterable[bytes], expected_digest: Expected = None) -> Blob:
        """Store the bytes that these chunks make together.

        Raises Invalid when they do not have the expected digest, Unavailable when they cannot be stored; then, and when
        `chunks` itself fails, nothing is stored.
        """
        ...

    def open(self, digest: str) -> AsyncIterator[bytes]:
        """The bytes, in chunks of at most 1 MiB; raises NotFound at the first one when there is no such blob."""
        ...

    async def exists(self, digest: str) -> bool:
        """Whether the blob is there."""
        ...

    async def size(self, digest: str) -> int:
        """The blob's length in bytes; raises NotFound."""
        ...

    async def verify(self, digest: str) -> bool:
        """Whether the stored bytes still have this digest; raises NotFound."""
        ...


def check_expected(expected: Expected) -> None:
    """Raise Invalid for a digest of another form, before anything comes."""
    if isinstance(expected, str):
        check_digest(expected, "expected_digest")


def compare(came: Blob, expected: Expected) -> None:
    """Raise Invalid unless what came has the expected digest."""
    digest = expected() if callable(expected) else expected
    if digest and digest != came.digest:
        raise Invalid.field(
            "expected_digest",
            f"is {digest}; the {came.size_bytes} bytes that came have SHA-256 {came.digest}, so nothing was stored",
        )


def check_digest(digest: str, field: str = "digest") -> None:
    """Raise Invalid, naming `field`, unless this is a SHA-256 in lower-case hexadecimal digits."""
    if not _DIGEST.fullmatch(digest):
        raise Invalid.field(field, f"{digest[:80]!r} is not a SHA-256; it must be 64 lower-case hexadecimal digits")
