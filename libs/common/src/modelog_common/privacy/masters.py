"""The port to the master key that wraps data keys, and the keys that stand in a file or an environment variable."""

from __future__ import annotations

import asyncio
import base64
import binascii
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modelog_common.domain.errors import Conflict, Invalid, Unavailable
from modelog_common.privacy.cipher import KEY_BYTES, new_key, unwrap_key, wrap_key
from modelog_common.security.keys import write_secret

OTHERS = 0o007


@dataclass(frozen=True)
class Wrapped:
    """A wrapped data key, and which master key wraps it."""

    master: str
    content: bytes


class NoSuchMaster(Unavailable):
    """The master key that wraps a key is not among those at hand: it was dropped, or belongs to another place."""


class MasterKeys(Protocol):
    """The master key in use, and older ones that still unwrap."""

    async def wrap(self, key_id: str, key: bytes) -> Wrapped:
        """Wrap a data key under the master key in use."""
        ...

    async def unwrap(self, key_id: str, wrapped: Wrapped) -> bytes:
        """The data key. Raises NoSuchMaster, Altered when it is not what was wrapped, and Unavailable."""
        ...

    def rotation(self) -> AbstractAsyncContextManager[str]:
        """Gives the name of a new master key, in use from then on. The older ones go at the end, unless it fails."""
        ...


def new_master_key() -> str:
    """A new master key as it stands in a file or variable."""
    return base64.b64encode(new_key()).decode()


def parse_master_keys(text: str, where: str) -> dict[str, bytes]:
    """Master keys by name, the one in use first; raises Invalid, without repeating the text."""
    keys: dict[str, bytes] = {}
    for number, word in enumerate(text.split(), start=1):
        try:
            key = base64.b64decode(word, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise Invalid(f"key {number} in {where} is not the base64 of {KEY_BYTES} bytes; {_HOW}")
        keys[_name(key)] = key
    if not keys:
        raise Invalid(f"{where} holds no master key; {_HOW}")
    return keys


_HOW = "write keys apart by white space, the one in use first; make one with `openssl rand -base64 32`"


def _name(key: bytes) -> str:
    return hashlib.sha256(b"modelog: name of a master key" + key).hexdigest()[:16]


class FileMasterKeys:
    """Master keys in a file, the one in use first; the file is read anew for each use, since another may rotate."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def wrap(self, key_id: str, key: bytes) -> Wrapped:
        return _wrap(self._keys(), key_id, key)

    async def unwrap(self, key_id: str, wrapped: Wrapped) -> bytes:
        return _unwrap(self._keys(), key_id, wrapped, f"the file {self._file}")

    @asynccontextmanager
    async def rotation(self) -> AsyncIterator[str]:
        lock = await asyncio.to_thread(self._lock)
        try:
            older = self._keys()
            text = new_master_key()
            (name,) = parse_master_keys(text, "a new key")
            # Killed from here on, the file holds the old keys and the new: rotating again goes on.
            await asyncio.to_thread(self._replace, [text, *(base64.b64encode(k).decode() for k in older.values())])
            yield name
            await asyncio.to_thread(self._replace, [text])
        finally:
            os.close(lock)

    def _keys(self) -> dict[str, bytes]:
        try:
            if self._file.stat().st_mode & OTHERS:
                raise Unavailable(f"the master key {self._file} can be read by every user; run: chmod 600 {self._file}")
            return parse_master_keys(self._file.read_text("ascii"), f"the file {self._file}")
        except (OSError, UnicodeDecodeError) as error:
            raise _no_key(f"the file {self._file} cannot be read: {getattr(error, 'strerror', error)}") from error
        except Invalid as error:
            raise _no_key(str(error)) from error

    def _lock(self) -> int:
        try:
            descriptor = os.open(self._file.with_name(self._file.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(f"the master key {self._file} cannot be rotated: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Conflict("the master key is being rotated already; wait until that is done") from error
        return descriptor

    def _replace(self, lines: list[str]) -> None:
        try:
            write_over(self._file, "".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise Unavailable(f"the master key {self._file} cannot be rotated: {error.strerror}") from error


class VariableMasterKeys:
    """Master keys in an environment variable: whoever sets it rotates, by putting a new key first."""

    def __init__(self, variable: str, environment: Mapping[str, str] = os.environ) -> None:
        self._variable, self._environment = variable, environment
        self._where = f"the variable {variable}"

    async def wrap(self, key_id: str, key: bytes) -> Wrapped:
        return _wrap(self._keys(), key_id, key)

    async def unwrap(self, key_id: str, wrapped: Wrapped) -> bytes:
        return _unwrap(self._keys(), key_id, wrapped, self._where)

    @asynccontextmanager
    async def rotation(self) -> AsyncIterator[str]:
        yield next(iter(self._keys()))

    def _keys(self) -> dict[str, bytes]:
        try:
            return parse_master_keys(self._environment.get(self._variable, ""), self._where)
        except Invalid as error:
            raise _no_key(str(error)) from error


def write_over(file: Path, content: bytes) -> None:
    """Replace a secret file whole, and on the disk before this returns."""
    partial = file.with_name(file.name + ".part")
    partial.unlink(missing_ok=True)
    write_secret(partial, content)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(file)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _wrap(keys: Mapping[str, bytes], key_id: str, key: bytes) -> Wrapped:
    name, master = next(iter(keys.items()))
    return Wrapped(name, wrap_key(master, key_id, key))


def _unwrap(keys: Mapping[str, bytes], key_id: str, wrapped: Wrapped, where: str) -> bytes:
    master = keys.get(wrapped.master)
    if master is None:
        raise NoSuchMaster(f"{where} lacks the master key {wrapped.master}, which wraps a stored key")
    return unwrap_key(master, key_id, wrapped.content)


def _no_key(why: str) -> Unavailable:
    return Unavailable(f"personal data can neither be kept nor read now: {why}")
