"""Files, named by their content and kept apart by tenant: stored whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from modelog_common.domain.errors import Invalid, NotFound


@dataclass(frozen=True)
class Piece:
    """A part of a file; the last one may say which SHA-256 the whole must have."""

    chunk: bytes
    expected_digest: str = ""


@dataclass(frozen=True)
class Stored:
    """A file that is there for good: its SHA-256 in hexadecimal, its size."""

    digest: str
    size_bytes: int


class Files(Protocol):
    """The part of a content-addressed store that is used here."""

    async def put(self, tenant: str, content: AsyncIterator[bytes]) -> Stored:
        """Store what comes; nothing is stored when `content` raises. What is there already is not an error."""
        ...

    async def size(self, tenant: str, digest: str) -> int | None:
        """Size in bytes of a file; None when it is not there."""
        ...

    def read(self, tenant: str, digest: str) -> AsyncIterator[bytes]:
        """The content of a file that is there."""
        ...


class Artifacts:
    """The files of all tenants."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def store(self, tenant: str, pieces: AsyncIterator[Piece]) -> Stored:
        """Raises Invalid when the whole is not what the last piece expects; then nothing is stored."""
        return await self._files.put(tenant, _checked(pieces))

    async def read(self, tenant: str, digest: str) -> AsyncIterator[bytes]:
        """The content of a file in pieces; raises NotFound."""
        if await self._files.size(tenant, digest) is None:
            raise NotFound(f"there is no artifact {digest}")
        async for chunk in self._files.read(tenant, digest):
            yield chunk


async def _checked(pieces: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
    found = hashlib.sha256()
    expected = ""
    async for piece in pieces:
        expected = piece.expected_digest or expected
        found.update(piece.chunk)
        yield piece.chunk
    if expected and found.hexdigest() != expected:
        raise Invalid.field(
            "expected_digest", f"is {expected}; what arrived has {found.hexdigest()}, so nothing was stored"
        )
