"""What a process holds, and how it is kept from holding more."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Callable
from functools import cache
from pathlib import Path

# What requests take is less, and stays where it is.
HELD_BYTES = 4 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def memory_bytes() -> int:
    """What counts against the limit; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def limit(most_bytes: int) -> None:
    """Hold no more from now on; 0 for any number."""
    if most_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def hold_little() -> None:
    """Have the C library give the system what is freed above HELD_BYTES, in this process from now on.

    By itself it keeps ever larger pieces, up to 64 MB for each of its threads' parts, which `give_back` cannot reach.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    option = _libc("mallopt")
    if option is not None:
        option(_MMAP_THRESHOLD, HELD_BYTES)
        option(_TRIM_THRESHOLD, HELD_BYTES)


def give_back() -> None:
    """Have the C library give the system what it holds and nobody uses, such as what reading a model took.

    https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    trim = _libc("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _libc(function: str) -> Callable[..., int] | None:
    """Of the C library, where it has such a function: glibc does."""
    try:
        found: Callable[..., int] | None = getattr(ctypes.CDLL(None), function, None)
    except (OSError, TypeError):
        return None
    return found
