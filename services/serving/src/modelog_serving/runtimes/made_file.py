"""A file that serving made of a model's: what is mapped, then what it is, then the SHA-256 of all that.

It is mapped so that it stays one copy in the kernel's memory, whoever has it: a write, of which there is none, would be
the process's own and never the file's. Of arrays that cannot be written numba makes a slower kernel.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from modelog_serving.engine.runtime import AnyArray

# Of arrays, so that none shares a line of the processor's cache with another.
ALIGNED = 64
_LENGTH_BYTES, _DIGEST_BYTES = 8, hashlib.sha256().digest_size
_PIECE = 1 << 20


class Damaged(Exception):
    """The file is not what was written."""


class Place(msgspec.Struct, frozen=True):
    """Where in the file an array lies; `dtype` as numpy writes it, with its byte order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class MadeFile:
    """`about` says what it is; what was mapped stays mapped as long as an array of it is there. Meanwhile no other file
    has its `inode`."""

    about: bytes
    mapped: mmap.mmap
    inode: int

    def arrays(self, places: tuple[Place, ...]) -> dict[str, AnyArray]:
        """Those that `add` wrote, by name; raises Damaged for what is not in the file."""
        try:
            return {place.name: self._array(place) for place in places}
        except (ValueError, TypeError) as error:
            raise Damaged(f"it has no such array: {error}") from None

    def _array(self, place: Place) -> AnyArray:
        count = int(np.prod(place.shape, dtype=np.int64))
        flat: AnyArray = np.frombuffer(self.mapped, np.dtype(place.dtype), count, place.offset)
        return flat.reshape(place.shape)


def add(file: BinaryIO, arrays: Mapping[str, AnyArray]) -> tuple[Place, ...]:
    """Write arrays, one after the other."""
    places = list[Place]()
    for name, array in arrays.items():
        file.write(bytes(-file.tell() % ALIGNED))
        places.append(Place(name, array.dtype.str, array.shape, file.tell()))
        file.write(np.ascontiguousarray(array).data)
    return tuple(places)


def finish(file: BinaryIO, about: bytes) -> None:
    """Write what it is, and what it must be: nothing may be written after that. The file must be open for reading."""
    file.write(about)
    file.write(len(about).to_bytes(_LENGTH_BYTES, "little"))
    file.seek(0)
    hashed = hashlib.sha256()
    while piece := file.read(_PIECE):
        hashed.update(piece)
    file.write(hashed.digest())


def opened(path: Path) -> MadeFile:
    """Map a file. Raises FileNotFoundError, and Damaged for what is not as it was finished."""
    with path.open("rb") as file:
        told = os.fstat(file.fileno())
        size = told.st_size
        end = size - _DIGEST_BYTES - _LENGTH_BYTES
        if end < 0:
            raise Damaged(f"it has {size} bytes")
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    with memoryview(mapped) as whole:
        if hashlib.sha256(whole[:-_DIGEST_BYTES]).digest() != whole[-_DIGEST_BYTES:]:
            raise Damaged("its SHA-256 is not the one that was written")
        length = int.from_bytes(whole[end : end + _LENGTH_BYTES], "little")
        if length > end:
            raise Damaged(f"it says that {length} of {end} bytes say what it is")
        return MadeFile(bytes(whole[end - length : end]), mapped, told.st_ino)
