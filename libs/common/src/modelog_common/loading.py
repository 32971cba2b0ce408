"""How a service process loads its code: sooner, and without what it never uses."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

# structlog shows tracebacks in colours when it finds rich, which the command line brings: a tenth of a start, and 3 MB,
# for lines that go out as JSON.
UNUSED = "rich"
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
    hidden = UNUSED not in sys.modules
    if hidden:
        # None means "there is no such module" to an import (Python's reference, section 5.3.1).
        sys.modules[UNUSED] = None  # type: ignore[assignment]
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
        gc.enable()
        if hidden:
            del sys.modules[UNUSED]
