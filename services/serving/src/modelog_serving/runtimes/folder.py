"""Folders of several files as one: a zip or tar file is unpacked where nothing of it can leave its folder."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from modelog_common.domain.errors import NotAllowed

MOST_FILES, MOST_BYTES = 10_000, 20 << 30
ZIP = b"PK\x03\x04"
_PIECE = 1 << 20


@contextmanager
def unpacked(content: bytes) -> Iterator[Path]:
    """The files in a folder that is there as long as this is entered; raises NotAllowed, which says why not."""
    with tempfile.TemporaryDirectory(prefix="modelog-model-") as made:
        folder = Path(made)
        try:
            if content.startswith(ZIP):
                _of_zip(content, folder)
            else:
                _of_tar(content, folder)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise NotAllowed(f"the model file is no zip or tar file of a folder, or is damaged: {error}") from error
        yield folder


def the_one_with(folder: Path, name: str) -> Path:
    """The folder that holds a file, at most two below the top; raises NotAllowed."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(folder.glob(depth + name))
        if found:
            return found[0].parent
    raise NotAllowed(f"the model file is a folder without {name}")


def _of_zip(content: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        entries = [info for info in packed.infolist() if not info.is_dir()]
        _check(len(entries), sum(info.file_size for info in entries))
        for info in entries:
            # A link's mode is in the upper half; its content would be written as a file, which it is not.
            if (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
                raise NotAllowed(f"the model file holds {info.filename!r}, which is no plain file")
            with packed.open(info) as source:
                _write(_place(folder, info.filename), source, info.file_size)


def _of_tar(content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as packed:
        count = size = 0
        for member in packed:
            if member.isdir():
                continue
            if not member.isreg():
                raise NotAllowed(f"the model file holds {member.name!r}, which is no plain file")
            count, size = count + 1, size + member.size
            _check(count, size)
            source = packed.extractfile(member)
            if source is not None:
                _write(_place(folder, member.name), source, member.size)
        if not count:
            raise NotAllowed("the model file is an empty folder")


def _check(count: int, size: int) -> None:
    if count > MOST_FILES or size > MOST_BYTES:
        raise NotAllowed(
            f"the model file has {count} files of {size} bytes; at most {MOST_FILES} of {MOST_BYTES} are unpacked"
        )


def _place(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise NotAllowed(f"the model file holds {name!r}, which is no plain relative path")
    place = folder.joinpath(*path.parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _write(place: Path, source: IO[bytes], size: int) -> None:
    left = size
    with place.open("xb") as target:
        while left > 0:
            piece = source.read(min(_PIECE, left))
            if not piece:
                raise EOFError(f"{place.name} is cut off")
            target.write(piece)
            left -= len(piece)
