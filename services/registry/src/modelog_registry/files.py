"""Files in a local folder, named by their content: the embedded adapter."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import derived_id

from modelog_registry.handle.artifacts import Stored

CHUNK_BYTES = 1 << 20


class LocalFiles:
    """A folder with a folder for each tenant; a file is there from the moment when it has its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, tenant: str, content: AsyncIterator[bytes]) -> Stored:
        """Raises Unavailable when the disk is full."""
        part = self._folder / "parts" / str(uuid4())
        try:
            return await self._write(part, tenant, content)
        except OSError as error:
            raise Unavailable(f"the file could not be stored: {error}") from error
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    async def _write(self, part: Path, tenant: str, content: AsyncIterator[bytes]) -> Stored:
        digest, size = hashlib.sha256(), 0
        file = await asyncio.to_thread(_create, part)
        with file:
            async for chunk in content:
                digest.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(_flush, file)
        await asyncio.to_thread(_name, part, self._path(tenant, digest.hexdigest()))
        return Stored(digest.hexdigest(), size)

    async def size(self, tenant: str, digest: str) -> int | None:
        try:
            return (await asyncio.to_thread(self._path(tenant, digest).stat)).st_size
        except FileNotFoundError:
            return None

    async def read(self, tenant: str, digest: str) -> AsyncIterator[bytes]:
        with await asyncio.to_thread(self._path(tenant, digest).open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    def _path(self, tenant: str, digest: str) -> Path:
        return self._folder / derived_id("files", tenant) / digest[:2] / digest


def _create(part: Path) -> BinaryIO:
    part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("xb")


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _name(part: Path, path: Path) -> None:
    """Rename, and make the name survive a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
