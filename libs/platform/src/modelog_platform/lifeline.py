"""Processes that do not outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded here: a child between fork and exec must not load anything


def die_with(parent: int, by: signal.Signals = signal.SIGTERM) -> None:
    """Runs in the child: have the kernel stop it when `parent` is gone, however it went (prctl(2)).

    More exactly: when the thread that started the child is gone. It lasts over exec, but not over a change of user.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:  # it went before the kernel was told
        os._exit(1)
