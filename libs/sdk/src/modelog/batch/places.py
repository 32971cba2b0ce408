"""Where the output of a batch goes: a folder, or a prefix in a bucket. What is there is there whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Optional, Protocol

import msgspec

from modelog.batch.bucket import S3, Bucket
from modelog.errors import Invalid


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of output: rows `first` to `first + rows`, of which `errors` have no prediction."""

    number: int
    rows: int
    digest: str
    size_bytes: int
    errors: int = 0

    @property
    def name(self) -> str:
        return part_name(self.number)


def part_name(number: int) -> str:
    """Names whose order is that of the rows."""
    return f"part-{number:08d}.parquet"


class Place(Protocol):
    """`address` leads to it from another process, too."""

    @property
    def address(self) -> str: ...

    def read(self, name: str) -> Optional[bytes]:
        """A file; None when it is not there."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, or in the place of one, at once: whoever looks sees all of it, or what was before."""
        ...

    def holds(self, part: Part) -> bool:
        """Whether a part is there, and is what it was."""
        ...

    def taken(self) -> str:
        """The name of something that is there; "" for a place that is empty."""
        ...


class Folder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = str(folder)

    def read(self, name: str) -> Optional[bytes]:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{name}.{os.getpid()}.draft"
        draft.write_bytes(content)
        settle(draft, self.folder / name)

    def holds(self, part: Part) -> bool:
        content = self.read(part.name)
        return content is not None and hashlib.sha256(content).hexdigest() == part.digest

    def taken(self) -> str:
        if not self.folder.is_dir():
            return self.folder.name if self.folder.exists() else ""
        return next((each.name for each in sorted(self.folder.iterdir()) if not _draft(each)), "")

    def clear_drafts(self) -> None:
        """What somebody was writing when he was killed."""
        for each in self.folder.glob(".*.draft"):
            each.unlink()


class Prefix:
    """A prefix in a bucket, which puts an object there whole or not at all."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/") + "/"
        self._bucket = Bucket(self.address, "output")

    def read(self, name: str) -> Optional[bytes]:
        return self._bucket.read(name)

    def write(self, name: str, content: bytes) -> None:
        self._bucket.write(name, content)

    def holds(self, part: Part) -> bool:
        return self._bucket.size(part.name) == part.size_bytes

    def taken(self) -> str:
        return next((name for name, _ in self._bucket.listed()), "")


def place_of(address: str) -> Place:
    """The place at an address; Invalid for one that is that of a file."""
    check_place(address)
    return Prefix(address) if address.startswith(S3) else Folder(Path(address))


def check_place(address: str) -> None:
    """Raises Invalid for what is no folder and no prefix."""
    if not address or Path(address).suffix in (".csv", ".parquet"):
        raise Invalid(
            f"output: is {address!r}; allowed: a folder, or s3://BUCKET/PREFIX, which gets a Parquet file for each part"
        )


def settle(draft: Path, path: Path) -> None:
    """From now on it is there, also after a power failure."""
    for each in (draft, path.parent):
        file = os.open(each, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        if each == draft:
            draft.replace(path)


def _draft(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".draft"
