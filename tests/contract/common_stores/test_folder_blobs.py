"""The folder passes the suite of blobs, leaves nothing half done, and says when it is full."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blob_suite import BlobStoreSuite, chunks, digest_of
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.stores.blobs import CHUNK_BYTES, BlobStore
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_common.stores.disk import MOST_WAITING_BYTES, SYNC_BYTES, remove_abandoned


class TestFolderBlobStore(BlobStoreSuite):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> BlobStore:
        return FolderBlobStore(tmp_path / "blobs")


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


async def test_a_blob_is_a_file_two_folders_deep(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    digest = digest_of(b"a")
    await blobs.put(chunks(b"a"))
    assert files(tmp_path) == [f"{digest[:2]}/{digest[2:4]}/{digest}"]
    assert blobs.path(digest).read_bytes() == b"a"


async def test_nothing_is_left_behind_by_what_was_refused(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put(broken())
    with pytest.raises(Invalid):
        await blobs.put(chunks(b"a"), digest_of(b"b"))
    assert files(tmp_path) == []


async def test_what_a_killed_process_was_storing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path / "tenant")
    for folder in (tmp_path, blobs.folder):
        folder.mkdir(exist_ok=True)
        (folder / ".incoming-killed").write_bytes(b"half")

    async def content() -> AsyncIterator[bytes]:
        yield b"a"
        assert await asyncio.to_thread(remove_abandoned, tmp_path) == 2
        yield b"b"

    stored = await blobs.put(content())
    assert stored.digest == digest_of(b"ab")
    assert files(tmp_path) == [str(blobs.path(stored.digest).relative_to(tmp_path))]


async def test_a_large_blob_goes_to_the_disk_while_it_comes(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    piece = bytes(MOST_WAITING_BYTES)
    count = 2 * SYNC_BYTES // len(piece) + 1
    stored = await blobs.put(chunks(*[piece] * count))
    assert stored.size_bytes == len(piece) * count
    assert await blobs.verify(stored.digest)


async def test_what_the_disk_did_not_take_is_not_stored_though_it_takes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, failed = FolderBlobStore(tmp_path), threading.Event()

    def sync(_: int) -> None:
        if not failed.is_set():
            failed.set()
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", sync)

    async def content() -> AsyncIterator[bytes]:
        for _ in range(2 * SYNC_BYTES // MOST_WAITING_BYTES):
            yield bytes(MOST_WAITING_BYTES)
        assert await asyncio.to_thread(failed.wait, 150)
        for _ in range(2 * SYNC_BYTES // MOST_WAITING_BYTES):
            yield bytes(MOST_WAITING_BYTES)

    with pytest.raises(Unavailable, match="cannot be used: Input/output error"):
        await blobs.put(content())
    assert files(tmp_path) == []


async def test_whoever_goes_away_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    blobs, begun = FolderBlobStore(tmp_path), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(CHUNK_BYTES)
            begun.set()

    sending = asyncio.create_task(blobs.put(endless()))
    await begun.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert files(tmp_path) == []


async def test_a_changed_file_is_found_out(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    stored = await blobs.put(chunks(b"abc"))
    blobs.path(stored.digest).write_bytes(b"abd")
    assert not await blobs.verify(stored.digest)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system is not allowed here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_is_named_and_keeps_what_it_had(small_disk: Path) -> None:
    blobs = FolderBlobStore(small_disk / "blobs")
    kept = await blobs.put(chunks(b"kept"))
    with pytest.raises(Unavailable, match="disk/blobs is full: No space left on device"):
        await blobs.put(chunks(*[b"x" * 4096] * 40))
    with pytest.raises(Unavailable, match="disk/blobs is full: No space left on device"):
        await blobs.put(chunks(b"y" * 100_000))
    assert len(files(small_disk)) == 1
    assert await blobs.verify(kept.digest)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    blobs = FolderBlobStore(tmp_path / "file" / "blobs")
    with pytest.raises(Unavailable, match="file/blobs cannot be used: Not a directory"):
        await blobs.put(chunks(b"a"))
