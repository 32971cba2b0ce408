"""How a service process loads its code: sooner, and without what it never uses."""

from __future__ import annotations

import ctypes
import gc
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import ModuleType
from typing import Any

# structlog shows tracebacks in colours when it finds rich, which the command line brings: a tenth of a start, and 3 MB,
# for lines that go out as JSON.
UNUSED = "rich"
# Sessions bring SQLAlchemy's ORM, which no service uses: a tenth of a start, and 6 MB.
ENGINES, SESSIONS = "sqlalchemy.ext.asyncio", ("session", "scoping")
# Options of glibc's mallopt(3), numbers of <malloc.h>.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENAS = -1, -3, -8
# By itself it gives what a chunk of a file needs back to the system and asks for it anew, chunk for chunk, which takes
# a third of what an upload costs. In few arenas less lies about unused.
MALLOPT = {TRIM_THRESHOLD: 32 << 20, MMAP_THRESHOLD: 4 << 20, ARENAS: 2}
# A turn of the loop holds the objects of all requests that it takes: to look at them after each 700 of them, as Python
# does by itself, finds nothing, and takes a twentieth of what a prediction costs.
YOUNG = 10_000


def mallopt(options: Mapping[int, int]) -> None:
    """Set options of the C library's memory in this process, where it is glibc.

    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(AttributeError):  # another library of C
        for option, value in options.items():
            ctypes.CDLL(None).mallopt(option, value)


@contextmanager
def loading() -> Iterator[None]:
    """Import a service inside of it.

    Hardly anything that is loaded is garbage: the collector waits meanwhile, and looks at none of it ever after.
    """
    mallopt(MALLOPT)
    gc.disable()
    try:
        with ExitStack() as hidden:
            if UNUSED not in sys.modules:
                hidden.enter_context(_missing(UNUSED))
            if ENGINES not in sys.modules:
                hidden.enter_context(_without_sessions())
            yield
    finally:
        gc.freeze()
        gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
        gc.enable()


@contextmanager
def _missing(module: str) -> Iterator[None]:
    # None means "there is no such module" to an import (Python's reference, section 5.3.1).
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


class _Later(ModuleType):
    """Stands for a module of which everything can be imported, and is this module."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


@contextmanager
def _without_sessions() -> Iterator[None]:
    """Load SQLAlchemy's asynchronous engines without its sessions; who asks for one later gets it then."""
    stand_ins = {f"{ENGINES}.{name}": _Later(name) for name in SESSIONS}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
        if ENGINES in sys.modules:
            _let_load(sys.modules[ENGINES])


def _let_load(engines: ModuleType) -> None:
    """Have it import what stands for a session when it is asked for it (PEP 562)."""
    later = {name: found.__name__ for name, found in vars(engines).items() if isinstance(found, _Later)}
    for name in later:
        delattr(engines, name)

    def found(name: str) -> Any:
        if name not in later:
            raise AttributeError(f"module {ENGINES!r} has no attribute {name!r}")
        module = importlib.import_module(f"{ENGINES}.{later[name]}")
        return module if name in SESSIONS else getattr(module, name)

    engines.__getattr__ = found  # type: ignore[method-assign]
