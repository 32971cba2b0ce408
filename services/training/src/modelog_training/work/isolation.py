"""Lets one process run the code of one job after another: what a job changed in the process is undone after it."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import psutil

# What the worker itself runs on stays what it is, whatever an archive holds.
OWN = sys.stdlib_module_names | {"modelog", "modelog_common", "modelog_proto", "modelog_training", "ray"}


@contextmanager
def isolated(source: Path, folder: Path) -> Iterator[None]:
    """Import from `source` first and work in `folder`; afterwards modules, path, environment, logging are as before."""
    names = {entry.stem if entry.suffix == ".py" else entry.name for entry in source.iterdir()} - OWN
    path, environment, cwd = list(sys.path), dict(os.environ), Path.cwd()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    installed = _take_out(names)
    sys.path.insert(0, str(source))
    importlib.invalidate_caches()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(cwd)
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)
        root.handlers[:] = handlers
        root.setLevel(level)
        _take_out(names)
        sys.modules.update(installed)


def _take_out(names: set[str]) -> dict[str, ModuleType]:
    """Loaded modules below these top-level names, which are then no longer loaded."""
    return {m: sys.modules.pop(m) for m in list(sys.modules) if m.partition(".")[0] in names}


@contextmanager
def captured(log_file: Path) -> Iterator[None]:
    """Append everything that is printed, by Python or by native code, to a file."""
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    streams = sys.stdout, sys.stderr
    kept = os.dup(1), os.dup(2)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with os.fdopen(log, "w", encoding="utf-8", errors="replace", buffering=1) as out:
        sys.stdout = sys.stderr = out
        try:
            yield
        finally:
            out.flush()
            sys.stdout, sys.stderr = streams
            for number, descriptor in zip((1, 2), kept, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def left_behind(threads: set[threading.Thread]) -> str:
    """What a job left running, in words: threads that were not there before, and child processes."""
    more = [t.name for t in threading.enumerate() if t not in threads]
    children = [c.name() for c in psutil.Process().children(recursive=True)]
    parts = [f"threads {', '.join(more)}"] if more else []
    parts += [f"processes {', '.join(children)}"] if children else []
    return " and ".join(parts)
