"""How long to wait before another attempt, and after how many it is enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Pauses that double, up to a longest one, each made shorter by chance so that many do not come back together."""

    first_s: float = 2.0
    longest_s: float = 3600.0
    # With these pauses the last attempt is about eleven hours after the first.
    attempts: int = 20
    longest_asked_s: float = 86_400.0

    def pause_s(self, failed: int, chance: Callable[[], float], asked_s: float | None = None) -> float:
        """After `failed` failures in a row; `chance` is from 0 to 1. What the other side asks for counts."""
        usual = min(self.longest_s, self.first_s * 2.0 ** min(failed - 1, 30))
        return max(usual * (0.5 + chance() / 2), min(asked_s or 0.0, self.longest_asked_s))
