"""Making one file of parts goes on without the caller, happens once, and lets nothing in between."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Container
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import NotAllowed, Unavailable
from modelog_common.stores.blobs import Blob
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_common.stores.uploads import Uploads
from modelog_common.testing.scenario import context
from modelog_registry.handle.artifacts import Artifacts
from modelog_registry.handle.uploads import Uploading

CTX = context()
DIGEST = hashlib.sha256(b"whole").hexdigest()


class Unswept(Uploads):
    """Uploads whose folder cannot be looked through."""

    async def sweep(self, before: datetime, spared: Container[str] = ()) -> list[str]:
        raise Unavailable("the folder is away")


class SlowStore(FolderBlobStore):
    """A folder that stores once it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.let, self.puts = asyncio.Event(), asyncio.Event(), 0

    async def put(self, chunks: AsyncIterable[bytes], expected_digest: str | None = None) -> Blob:
        self.puts += 1
        self.asked.set()
        await self.let.wait()
        return await super().put(chunks, expected_digest)


async def one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


async def begun(uploading: Uploading) -> str:
    upload = await uploading.begin(DIGEST, 5, CTX)
    await uploading.keep(upload.upload_id, 1, one(b"whole"), "", CTX)
    return upload.upload_id


async def test_who_gives_up_waiting_and_asks_again_gets_the_one_answer(tmp_path: Path) -> None:
    store, uploads = SlowStore(tmp_path / "blobs"), Uploads(tmp_path / "uploads")
    uploading = Uploading(uploads, Artifacts(lambda _: store), SystemClock())
    upload_id = await begun(uploading)
    with pytest.raises(Unavailable, match="is starting"):
        await uploading.complete(upload_id, (), CTX)
    work = asyncio.create_task(uploading.run())
    await asyncio.sleep(0)
    impatient = asyncio.create_task(uploading.complete(upload_id, (), CTX))
    await store.asked.wait()
    impatient.cancel()
    await asyncio.wait([impatient])
    assert impatient.cancelled()
    for refused in (uploading.keep(upload_id, 1, one(b"other"), "", CTX), uploading.abort(upload_id, CTX)):
        with pytest.raises(NotAllowed, match="complete"):
            await refused
    again = [asyncio.create_task(uploading.complete(upload_id, (), CTX)) for _ in range(2)]
    store.let.set()
    assert await asyncio.gather(*again) == [Blob(DIGEST, 5)] * 2
    assert await uploading.complete(upload_id, (), replace(CTX, now=CTX.now + timedelta(hours=1))) == Blob(DIGEST, 5)
    assert store.puts == 1
    work.cancel()
    await asyncio.wait([work])
    assert work.cancelled()


async def test_a_store_that_is_away_takes_the_parts_later(tmp_path: Path) -> None:
    """What went wrong on the way, or in looking for what was given up, loses no part and ends nothing."""
    (tmp_path / "blobs").write_bytes(b"not a folder")
    store = FolderBlobStore(tmp_path / "blobs")
    uploading = Uploading(Unswept(tmp_path / "uploads"), Artifacts(lambda _: store), SystemClock())
    work = asyncio.create_task(uploading.run())
    await asyncio.sleep(0)
    upload = await uploading.begin("", 0, CTX)
    await uploading.keep(upload.upload_id, 1, one(b"whole"), "", CTX)
    with pytest.raises(Unavailable, match="blobs cannot be used"):
        await uploading.complete(upload.upload_id, (), CTX)
    (tmp_path / "blobs").unlink()
    assert await uploading.complete(upload.upload_id, (), CTX) == Blob(DIGEST, 5)
    assert not work.done()
    work.cancel()
    await asyncio.wait([work])
