"""The blobs of a platform on their way into a backup and back: from a folder or a bucket, into files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from modelog_common.adapters import open_blobs
from modelog_common.config import FOLDER, S3
from modelog_common.domain.errors import Conflict, Invalid
from modelog_common.stores.blobs import CHUNK_BYTES, check_digest
from modelog_common.stores.blobs.folder import FolderBlobStore

from modelog_platform.log.files import Progress, copy_file
from modelog_platform.log.places import Places

INCOMING = ".incoming-"


async def copy_out(places: Places, target: Path, progress: Progress) -> tuple[list[str], int]:
    """Copy the blobs that are not in `target` yet; returns the names of all, and how many were copied."""
    if places.blobs.startswith(S3):
        return await _from_bucket(places, target, progress)
    return await asyncio.to_thread(_from_folder, Path(places.blobs.removeprefix(FOLDER)), target, progress)


async def copy_in(source: Path, names: Sequence[str], places: Places) -> None:
    """Put the blobs of a backup where they belong; those that are there already stay."""
    for name in names:
        *folders, digest = _parts(name)
        await open_blobs(places, *folders).put(_chunks(source / name), digest)


def _from_folder(source: Path, target: Path, progress: Progress) -> tuple[list[str], int]:
    files = sorted(f for f in source.rglob("*") if f.is_file() and not f.name.startswith(INCOMING))
    copied = 0
    for n, file in enumerate(files, start=1):
        to = target / file.relative_to(source)
        if not to.is_file() or to.stat().st_size != file.stat().st_size:
            to.parent.mkdir(parents=True, exist_ok=True)
            copy_file(file, to)
            copied += 1
        progress("blobs", n, len(files))
    return [str(file.relative_to(source)) for file in files], copied


async def _from_bucket(places: Places, target: Path, progress: Progress) -> tuple[list[str], int]:
    from modelog_common.stores.blobs.s3 import S3BlobStore

    found = sorted([named async for named in S3BlobStore(places.blobs).listed()])
    copied = 0
    for n, (name, size_bytes) in enumerate(found, start=1):
        to = target / name
        if not to.is_file() or to.stat().st_size != size_bytes:
            *folders, digest = _parts(name)
            try:
                await FolderBlobStore(target.joinpath(*folders)).put(open_blobs(places, *folders).open(digest), digest)
            except Invalid as altered:
                raise Conflict(f"the blob {name} in {places.blobs} was altered: {altered}") from altered
            copied += 1
        progress("blobs", n, len(found))
    return [name for name, _ in found], copied


def _parts(name: str) -> list[str]:
    """The folders of a blob's name, such as tenant/ab/cd/abcd..., and its digest."""
    parts = Path(name).parts
    if len(parts) < 3:
        raise Invalid.field("backup", f"names {name!r:.80}, which is no blob")
    check_digest(parts[-1], "backup")
    return [*parts[:-3], parts[-1]]


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as content:
        while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
            yield chunk
