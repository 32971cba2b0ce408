"""Model files in a folder by their digests."""

from __future__ import annotations

from pathlib import Path

from modelog_common.stores.blobs.folder import FolderBlobStore


class FolderFiles:
    """The port ModelFiles over a folder that has them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = FolderBlobStore(folder)

    async def fetch(self, digest: str) -> bytes:
        """Raises NotFound for what is not there."""
        return b"".join([chunk async for chunk in self._folder.open(digest)])
