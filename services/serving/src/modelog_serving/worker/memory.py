"""What a process holds, and how it is kept from holding more."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

from modelog_common.loading import MMAP_THRESHOLD, TRIM_THRESHOLD, mallopt

# What requests take is less, and stays where it is.
HELD_BYTES = 4 << 20


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
    """
    mallopt({MMAP_THRESHOLD: HELD_BYTES, TRIM_THRESHOLD: HELD_BYTES})


def give_back() -> None:
    """Have the C library give the system what it holds and nobody uses, such as what reading a model took.

    https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    with suppress(AttributeError):  # another library of C
        ctypes.CDLL(None).malloc_trim(0)
