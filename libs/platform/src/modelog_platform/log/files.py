"""Files of a backup: each has its name once it is whole and on the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from modelog_common.domain.errors import Unavailable

CHUNK_BYTES = 1 << 20
# Told what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of an SQLite file that others may be writing to, readable by its owner only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    try:
        readable = f"{source.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(readable, uri=True)) as original, closing(sqlite3.connect(partial)) as copy:
            original.backup(copy)
    except sqlite3.Error as error:
        raise Unavailable(f"{source} cannot be copied: {error}") from error
    sync(partial)
    partial.replace(target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file so that it has its name once it is whole and on the disk; readable by its owner only."""
    partial = target.with_name(target.name + ".part")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    shutil.copyfile(source, partial)
    sync(partial)
    partial.replace(target)


def sync(file: Path) -> None:
    """See to it that a file's bytes are on the disk."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def described(file: Path) -> dict[str, Any]:
    """A file's size and SHA-256."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return {"size": file.stat().st_size, "sha256": digest.hexdigest()}


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that has its name once it is whole and on the disk."""
    partial = file.with_name(file.name + ".part")
    partial.write_bytes(content)
    sync(partial)
    partial.replace(file)
