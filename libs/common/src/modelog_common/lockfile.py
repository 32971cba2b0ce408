"""A folder for one process at a time: a lock that the kernel releases when its holder is gone, however it went."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

POLL_S = 0.05


class LockHeld(Exception):
    """Another process has the lock; `holder` is its process id, as text."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"process {holder} holds the lock")
        self.holder = holder


def take_lock(file: Path, timeout_s: float) -> int:
    """Lock the file for this process and write its process id into it; returns the descriptor that holds the lock.

    Raises LockHeld when another process still has it after `timeout_s`.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout_s
    while not _locked(descriptor, fcntl.LOCK_EX):
        # `lock_holder` takes the lock for a moment to see whether it is free.
        if time.monotonic() > deadline:
            holder = os.pread(descriptor, 20, 0).decode() or "unknown"
            os.close(descriptor)
            raise LockHeld(holder)
        time.sleep(POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def lock_holder(file: Path) -> int | None:
    """The process that has the lock now; None when none has."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        found = os.pread(descriptor, 20, 0).decode()
        return None if _locked(descriptor, fcntl.LOCK_SH) or not found else int(found)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
