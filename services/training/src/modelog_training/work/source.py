"""The user's code: unpacked from its archive, and found in it."""

from __future__ import annotations

import importlib
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

ARCHIVE_BYTES = 512 << 20
ARCHIVE_FILES = 20_000


class BadSource(Exception):
    """The archive or the entry point cannot be used; the text says why and what is allowed."""


def unpack(archive: Path, folder: Path) -> None:
    """Write the archive's files below `folder`; raises BadSource for what is no archive of reasonable size."""
    try:
        with zipfile.ZipFile(archive) as source:
            entries = source.infolist()
            size = sum(entry.file_size for entry in entries)
            if len(entries) > ARCHIVE_FILES or size > ARCHIVE_BYTES:
                raise BadSource(
                    f"the source archive holds {len(entries)} files of together {size} bytes; "
                    f"allowed: {ARCHIVE_FILES} files, {ARCHIVE_BYTES} bytes"
                )
            for entry in entries:
                if not (folder / entry.filename).resolve().is_relative_to(folder.resolve()):
                    raise BadSource(f"the source archive holds {entry.filename!r}, which lies outside of it")
            source.extractall(folder)
    except zipfile.BadZipFile as error:
        raise BadSource(f"the source archive is no zip file that can be read: {error}") from error


def find(entry_point: str) -> Callable[[Any], object]:
    """The function "module:name"; raises BadSource when it is not there. Errors inside the module come through."""
    module_name, _, name = entry_point.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise BadSource(
            f"entry_point: there is no module {error.name!r} in the source archive or among the installed packages"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise BadSource(f"entry_point: {module_name} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def users_part(trace: TracebackType | None, own: Path) -> TracebackType | None:
    """The traceback without the frames of `own`, the file that called the user's code."""
    while trace is not None and Path(trace.tb_frame.f_code.co_filename) == own:
        trace = trace.tb_next
    return trace


def in_short(error: BaseException, trace: TracebackType | None, source: Path) -> str:
    """An error in one line: what it says, and the innermost line of the user's own code that led to it."""
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{text[-1]} ({_place(error.filename, source)}:{error.lineno})"
    frames = traceback.extract_tb(trace)
    own = [f for f in frames if Path(f.filename).is_relative_to(source)] or list(frames)
    return f"{text[-1]} ({_place(own[-1].filename, source)}:{own[-1].lineno} in {own[-1].name})" if own else text[-1]


def _place(filename: str, source: Path) -> Path:
    file = Path(filename)
    return file.relative_to(source) if file.is_relative_to(source) else file
