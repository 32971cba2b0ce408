"""What the process of a model may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds for an answer and for loading; bytes of memory, 0 for any number."""

    predict_s: float = 30.0
    load_s: float = 300.0
    memory_bytes: int = 4 << 30
