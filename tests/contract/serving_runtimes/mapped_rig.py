"""Model files in a folder, what serving made of them, and what of it this process has mapped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import Model
from modelog_serving.runtimes.beside import SUFFIX, Beside
from modelog_serving.runtimes.find import LazyRuntimes


@dataclass(frozen=True)
class Kept:
    """A model file, as every process finds it."""

    folder: Path
    flavor: str
    content: bytes
    signature: Signature

    def __post_init__(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(self.content)

    @property
    def file(self) -> Path:
        return FolderBlobStore(self.folder).path(hashlib.sha256(self.content).hexdigest())

    @property
    def made(self) -> list[Path]:
        return sorted(self.folder.glob(f"??/??/*{SUFFIX}"))

    def load(self, *, anew: bool = False, signature: Signature | None = None) -> Model:
        """As a process does that was just started."""
        runtime = LazyRuntimes(1, beside=Beside(self.folder, anew=anew)).of(self.flavor)
        return runtime.load(self.content, signature or self.signature, False)

    def by_itself(self) -> Model:
        """As a process does that has no folder."""
        return LazyRuntimes(1).of(self.flavor).load(self.content, self.signature, False)


def mapped_here(path: Path) -> bool:
    """Whether this process has the file mapped."""
    return str(path) in Path("/proc/self/maps").read_text()


def same_bits(one: Model, other: Model, rows: Any) -> bool:
    return all(one.predict(part).tobytes() == other.predict(part).tobytes() for part in (rows, rows[:1], rows[:9]))
