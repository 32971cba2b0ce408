"""Blobs in a local folder: the embedded default."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from modelog_common.domain.errors import NotFound
from modelog_common.stores.blobs import CHUNK_BYTES, Blob, Expected, check_digest, check_expected, compare
from modelog_common.stores.disk import Incoming, incoming, new_file, on_disk, sync_folder

T = TypeVar("T")
WHAT = "blob folder"


class FolderBlobStore:
    """A BlobStore in a folder: `ab/cd/abcd...`, each file complete from the moment that it has its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """The file of a blob, for readers on this machine, whether it is there or not."""
        check_digest(digest)
        return self.folder / digest[:2] / digest[2:4] / digest

    async def put(self, chunks: AsyncIterable[bytes], expected_digest: Expected = None) -> Blob:
        check_expected(expected_digest)
        async with incoming(self.folder, WHAT, lambda: _new_file(self.folder), chunks) as came:
            blob = Blob(came.digest, came.size_bytes)
            compare(blob, expected_digest)
            await self._run(lambda: self._keep(came))
            return blob

    def _keep(self, came: Incoming) -> None:
        target = self.path(came.digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        came.keep(target)
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
        return await on_disk(self.folder, WHAT, work)


def _new_file(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return new_file(folder)


def _open(path: Path, digest: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no blob {digest}") from None
