"""Files that come in parts, in a local folder: a part is durable once it is acknowledged, and no part is a file yet."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from modelog_common.domain.errors import Conflict, Invalid, NotFound
from modelog_common.stores.blobs import CHUNK_BYTES, Blob
from modelog_common.stores.disk import Incoming, incoming, new_file, on_disk, sync_folder

T = TypeVar("T")
WHAT = "folder of uploads"
BEGUN, STORED = "upload.json", "stored.json"
_PART = re.compile(r"([0-9]{5})-([0-9]+)-([0-9a-f]{64})")


@dataclass(frozen=True)
class Part:
    """What is held of a file: its place among the parts, from 1, its SHA-256 and its length."""

    number: int
    digest: str
    size_bytes: int

    @property
    def name(self) -> str:
        return f"{self.number:05d}-{self.size_bytes}-{self.digest}"


class Begun(msgspec.Struct, frozen=True):
    """Who sends a file, and what the whole must be: "" and 0 when nobody said."""

    tenant: str
    user: str
    expected_digest: str = ""
    size_bytes: int = 0


class Uploads:
    """Uploads by their ids, which are names of folders: `<id>/upload.json`, and a file for each part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def begin(self, upload_id: str, begun: Begun) -> None:
        """Take parts from now on; begun again, an upload has what it had."""
        await self._run(lambda: self._begin(upload_id, begun))

    async def begun(self, upload_id: str) -> Begun:
        """Raises NotFound."""
        return await self._run(lambda: msgspec.json.decode(self._read(upload_id, BEGUN), type=Begun))

    async def parts(self, upload_id: str) -> list[Part]:
        """What is held, by number; raises NotFound."""
        return await self._run(lambda: self._parts(upload_id))

    async def keep(self, upload_id: str, number: int, chunks: AsyncIterable[bytes], expected_digest: str = "") -> Part:
        """Hold a part; another one of its number gives way. Raises Invalid when its digest is another one.

        Then, and when `chunks` itself fails, nothing of it is held.
        """
        folder = self._folder / upload_id
        async with incoming(self._folder, WHAT, lambda: _new_file(folder, upload_id), chunks) as came:
            part = Part(number, came.digest, came.size_bytes)
            if expected_digest and part.digest != expected_digest:
                raise Invalid.field(
                    "expected_digest",
                    f"is {expected_digest}; the {part.size_bytes} bytes of part {number} have {part.digest}",
                )
            await self._run(lambda: _name(came, folder, part))
            return part

    async def content(self, upload_id: str, parts: Sequence[Part]) -> AsyncIterator[bytes]:
        """The bytes of these parts; raises Conflict when one of them gave way to another meanwhile."""
        for part in parts:
            path = self._folder / upload_id / part.name
            file = await self._run(lambda path=path: _open(path))  # type: ignore[misc]
            with file:
                while chunk := await self._run(lambda file=file: file.read(CHUNK_BYTES)):  # type: ignore[misc]
                    yield chunk

    async def finish(self, upload_id: str, blob: Blob) -> None:
        """The whole is stored elsewhere: remember as what, and let the parts go."""
        await self._run(lambda: self._finish(upload_id, blob))

    async def stored(self, upload_id: str) -> Blob | None:
        """What the upload was stored as, once it is finished."""
        try:
            return await self._run(lambda: msgspec.json.decode(self._read(upload_id, STORED), type=Blob))
        except NotFound:
            return None

    async def drop(self, upload_id: str) -> None:
        """Let go of everything; one that is not there is not missed."""
        await self._run(lambda: shutil.rmtree(self._folder / upload_id, ignore_errors=True))

    async def touched(self, upload_id: str) -> datetime:
        """When something came last; raises NotFound."""
        return await self._run(lambda: self._touched(upload_id))

    async def sweep(self, before: datetime, spared: Container[str] = ()) -> list[str]:
        """Drop the uploads to which nothing came since `before`; returns their ids."""
        return await self._run(lambda: self._sweep(before, spared))

    def _begin(self, upload_id: str, begun: Begun) -> None:
        folder = self._folder / upload_id
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / BEGUN).exists():
            os.utime(folder)
            return
        _write_whole(folder / BEGUN, msgspec.json.encode(begun))
        sync_folder(self._folder)

    def _read(self, upload_id: str, name: str) -> bytes:
        try:
            return (self._folder / upload_id / name).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"there is no upload {upload_id}") from None

    def _parts(self, upload_id: str) -> list[Part]:
        self._read(upload_id, BEGUN)
        found: dict[int, tuple[int, Part]] = {}
        for entry in os.scandir(self._folder / upload_id):
            if match := _PART.fullmatch(entry.name):
                part = Part(int(match[1]), match[3], int(match[2]))
                # Two of one number are there when the process died between naming one and removing the other.
                newest = (entry.stat().st_mtime_ns, part)
                found[part.number] = max(found.get(part.number, newest), newest, key=lambda named: named[0])
        return [part for _, (_, part) in sorted(found.items())]

    def _touched(self, upload_id: str) -> datetime:
        self._read(upload_id, BEGUN)
        return _touched(self._folder / upload_id)

    def _finish(self, upload_id: str, blob: Blob) -> None:
        folder = self._folder / upload_id
        _write_whole(folder / STORED, msgspec.json.encode(blob))
        for file in folder.iterdir():
            if _PART.fullmatch(file.name):
                file.unlink()

    def _sweep(self, before: datetime, spared: Container[str]) -> list[str]:
        if not self._folder.is_dir():
            return []
        dropped = []
        for folder in [entry for entry in self._folder.iterdir() if entry.is_dir() and entry.name not in spared]:
            with suppress(FileNotFoundError):  # it was dropped meanwhile
                if _touched(folder) < before:
                    shutil.rmtree(folder, ignore_errors=True)
                    dropped.append(folder.name)
        return dropped

    async def _run(self, work: Callable[[], T]) -> T:
        return await on_disk(self._folder, WHAT, work)


def _touched(folder: Path) -> datetime:
    times = [folder.stat().st_mtime]
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # what was being written may have its name by now
            times.append(file.stat().st_mtime)
    return datetime.fromtimestamp(max(times), UTC)


def _new_file(folder: Path, upload_id: str) -> BinaryIO:
    if not (folder / BEGUN).exists():
        raise NotFound(f"there is no upload {upload_id}")
    return new_file(folder)


def _name(came: Incoming, folder: Path, part: Part) -> None:
    came.keep(folder / part.name)
    sync_folder(folder)
    for other in folder.glob(f"{part.number:05d}-*"):
        if other.name != part.name:
            other.unlink()


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise Conflict("a part was sent again while the upload was completed; complete it again") from None


def _write_whole(file: Path, content: bytes) -> None:
    partial = file.with_name(f".{file.name}")
    with partial.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(file)
    sync_folder(file.parent)
