"""What a process holds, and how it is kept from holding more."""

from __future__ import annotations

import resource
from pathlib import Path


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
