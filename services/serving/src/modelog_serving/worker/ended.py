"""A process that ended: how it did, and how long to wait before it is started again. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterable

# So many within this time are made good at once, then each takes longer.
MINUTE_S, FREE, LONGEST_S = 60.0, 3, 30.0


def pause_s(ends_s: Iterable[float], now_s: float) -> float:
    """From the moments at which it ended before, the present one among them."""
    lately = sum(now_s - end < MINUTE_S for end in ends_s)
    return 0.0 if lately <= FREE else min(2.0 ** (lately - FREE), LONGEST_S)


def how(status: int) -> str:
    """From its exit status, in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"died of {signal.Signals(-status).name}"
    except ValueError:
        return f"died of signal {-status}"
