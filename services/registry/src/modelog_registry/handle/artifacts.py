"""Files, named by their content and kept apart by tenant: stored whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from modelog_common.stores.blobs import Blob, BlobStore

StoreOf = Callable[[str], BlobStore]


@dataclass(frozen=True)
class Piece:
    """A part of a file; the last one may say which SHA-256 the whole must have."""

    chunk: bytes
    expected_digest: str = ""


class Artifacts:
    """The files of all tenants; `store_of` gives a tenant's store."""

    def __init__(self, store_of: StoreOf) -> None:
        self._store_of = store_of

    async def keep(self, tenant: str, chunks: AsyncIterator[bytes], expected_digest: str) -> Blob:
        """Raises Invalid when the whole is not what is expected ("": anything); then nothing is stored."""
        return await self._store_of(tenant).put(chunks, expected_digest or None)

    async def put(self, tenant: str, pieces: AsyncIterator[Piece]) -> Blob:
        """Raises Invalid when the whole is not what the last piece expects; then nothing is stored."""
        said = _Digest()
        return await self._store_of(tenant).put(said.noted(pieces), lambda: said.expected)

    def open(self, tenant: str, digest: str) -> AsyncIterator[bytes]:
        """The content in pieces; raises NotFound at the first one when the tenant has no such file."""
        return self._store_of(tenant).open(digest)

    async def size(self, tenant: str, digest: str) -> int:
        """The length in bytes; raises NotFound."""
        return await self._store_of(tenant).size(digest)


class _Digest:
    """What the pieces say that the whole must have: the last one that says anything counts."""

    def __init__(self) -> None:
        self.expected = ""

    async def noted(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self.expected = piece.expected_digest or self.expected
            yield piece.chunk
