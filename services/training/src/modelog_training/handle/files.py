"""Files of jobs: the registry has them all; those that jobs use or make are kept here too, for the workers to open."""

from __future__ import annotations

from pathlib import Path

from modelog_common.stores.blobs.folder import FolderBlobStore

from modelog_training.registry import Registry


class Files:
    """Named by their SHA-256. The folder is a cache: it may be deleted while no job runs."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self._here, self._registry = FolderBlobStore(folder), registry

    async def fetch(self, digest: str) -> None:
        """Have a file here; raises NotFound when the registry does not have it."""
        if not await self._here.exists(digest):
            await self._here.put(self._registry.download(digest), expected_digest=digest)

    async def read(self, digest: str) -> bytes:
        """A file that is here."""
        return b"".join([chunk async for chunk in self._here.open(digest)])

    async def publish(self, digest: str) -> None:
        """Give a file that a worker stored here to the registry; giving it twice is giving it once."""
        await self._registry.upload(self._here.open(digest), digest)
