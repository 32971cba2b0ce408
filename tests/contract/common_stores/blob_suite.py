"""What every BlobStore promises: inherit the class and give it the fixture `blobs`."""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import pytest
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.stores.blobs import CHUNK_BYTES, Blob, BlobStore


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def read(blobs: BlobStore, digest: str) -> bytes:
    return b"".join([chunk async for chunk in blobs.open(digest)])


class BlobStoreSuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def blobs(self) -> BlobStore: ...

    @pytest.mark.parametrize("parts", [(b"hello ", b"", b"world"), (), (b"x" * (2 * CHUNK_BYTES + 3),)])
    async def test_what_is_put_is_read_back_under_its_digest(self, blobs: BlobStore, parts: tuple[bytes, ...]) -> None:
        data = b"".join(parts)
        stored = await blobs.put(chunks(*parts))
        assert stored == Blob(digest_of(data), len(data))
        assert await read(blobs, stored.digest) == data
        assert await blobs.exists(stored.digest)
        assert await blobs.size(stored.digest) == len(data)
        assert await blobs.verify(stored.digest)

    async def test_reading_comes_in_pieces_of_at_most_a_mebibyte(self, blobs: BlobStore) -> None:
        stored = await blobs.put(chunks(b"x" * (CHUNK_BYTES + 1)))
        assert [len(c) async for c in blobs.open(stored.digest)] == [CHUNK_BYTES, 1]

    async def test_the_expected_digest_is_accepted(self, blobs: BlobStore) -> None:
        assert (await blobs.put(chunks(b"a"), digest_of(b"a"))).digest == digest_of(b"a")

    async def test_another_digest_than_expected_is_refused_and_nothing_is_stored(self, blobs: BlobStore) -> None:
        for expected in (digest_of(b"b"), lambda: digest_of(b"b")):
            with pytest.raises(Invalid, match=f"the 1 bytes that came have SHA-256 {digest_of(b'a')}") as caught:
                await blobs.put(chunks(b"a"), expected)
            assert caught.value.violations[0].field == "expected_digest"
        assert not await blobs.exists(digest_of(b"a"))
        assert not await blobs.exists(digest_of(b"b"))

    async def test_the_expected_digest_may_be_told_at_the_end(self, blobs: BlobStore) -> None:
        told: list[str] = []

        async def content() -> AsyncIterator[bytes]:
            yield b"a"
            told.append(digest_of(b"a"))

        assert (await blobs.put(content(), lambda: told[-1])).digest == digest_of(b"a")
        assert (await blobs.put(chunks(b"b"), lambda: "")).digest == digest_of(b"b"), "any"

    async def test_a_stream_that_breaks_off_stores_nothing(self, blobs: BlobStore) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"a"
            raise ConnectionResetError("the caller is gone")

        with pytest.raises(ConnectionResetError):
            await blobs.put(broken())
        assert not await blobs.exists(digest_of(b"a"))

    async def test_the_same_bytes_may_be_put_by_many_at_once(self, blobs: BlobStore) -> None:
        stored = await asyncio.gather(*(blobs.put(chunks(b"same")) for _ in range(8)))
        assert {s.digest for s in stored} == {digest_of(b"same")}
        assert await read(blobs, digest_of(b"same")) == b"same"

    async def test_what_is_not_there_is_not_found(self, blobs: BlobStore) -> None:
        missing = digest_of(b"missing")
        assert not await blobs.exists(missing)
        for ask in (blobs.size(missing), blobs.verify(missing), read(blobs, missing)):
            with pytest.raises(NotFound, match=missing):
                await ask

    @pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
    async def test_a_digest_of_another_form_is_refused(self, blobs: BlobStore, digest: str) -> None:
        for ask in (blobs.exists(digest), blobs.size(digest), blobs.verify(digest), read(blobs, digest)):
            with pytest.raises(Invalid, match="64 lower-case hexadecimal digits"):
                await ask
        with pytest.raises(Invalid, match="expected_digest"):
            await blobs.put(chunks(b""), digest)
