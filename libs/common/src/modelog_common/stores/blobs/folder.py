"""Blobs in a local folder: the embedded default."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.stores.blobs import CHUNK_BYTES, Blob, check_digest
from modelog_common.stores.disk import on_disk, sync_folder

T = TypeVar("T")


class FolderBlobStore:
    """A BlobStore in a folder: `ab/cd/abcd...`, each file complete from the moment that it has its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """The file of a blob, for readers on this machine, whether it is there or not."""
        check_digest(digest)
        return self.folder / digest[:2] / digest[2:4] / digest

    async def put(self, chunks: AsyncIterable[bytes], expected_digest: str | None = None) -> Blob:
        if expected_digest is not None:
            check_digest(expected_digest, "expected_digest")
        file = await self._run(lambda: _new_file(self.folder))
        try:
            hashed, size = hashlib.sha256(), 0
            async for chunk in chunks:
                size += len(chunk)
                await self._run(lambda part=chunk: _write(file, hashed, part))  # type: ignore[misc]
            digest = hashed.hexdigest()
            if expected_digest is not None and digest != expected_digest:
                raise Invalid.field(
                    "expected_digest", f"the {size} bytes that came have SHA-256 {digest}, not {expected_digest}"
                )
            await self._run(lambda: self._keep(file, digest))
            return Blob(digest, size)
        finally:
            await asyncio.to_thread(_discard, file)

    def _keep(self, file: BinaryIO, digest: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file.name, target)
        for folder in (target.parent, target.parent.parent, self.folder):
            sync_folder(folder)

    async def open(self, digest: str) -> AsyncIterator[bytes]:
        path = self.path(digest)
        file = await self._run(lambda: _open(path, digest))
        try:
            while chunk := await self._run(lambda: file.read(CHUNK_BYTES)):
                yield chunk
        finally:
            file.close()

    async def exists(self, digest: str) -> bool:
        path = self.path(digest)
        return await self._run(path.is_file)

    async def size(self, digest: str) -> int:
        path = self.path(digest)
        with await self._run(lambda: _open(path, digest)) as file:
            return os.fstat(file.fileno()).st_size

    async def verify(self, digest: str) -> bool:
        hashed = hashlib.sha256()
        async for chunk in self.open(digest):
            await asyncio.to_thread(hashed.update, chunk)
        return hashed.hexdigest() == digest

    async def _run(self, work: Callable[[], T]) -> T:
        return await on_disk(self.folder, "blob folder", work)


def _new_file(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.NamedTemporaryFile(dir=folder, prefix=".incoming-", delete=False)  # type: ignore[return-value]


def _write(file: BinaryIO, hashed: hashlib._Hash, chunk: bytes) -> None:
    hashed.update(chunk)
    file.write(chunk)


def _discard(file: BinaryIO) -> None:
    """Close the file and remove it under its first name, which it no longer has when it was kept."""
    with suppress(OSError):  # closing writes what is buffered, which a full disk refuses again
        file.close()
    Path(file.name).unlink(missing_ok=True)


def _open(path: Path, digest: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no blob {digest}") from None
