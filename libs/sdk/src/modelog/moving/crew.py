"""Moves several things at a time, with a bound."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Callable, Dict, Iterable, TypeVar

T = TypeVar("T")
# Each level waits for work of the next one only, so nobody who waits takes the place of who works.
WHOLE, PARTS, FILES = LEVELS = ("experiments and models", "runs and logged models", "files")


class Crew:
    """So many threads for each level; the first error ends the work of its level, and what has not begun is left."""

    def __init__(self, size: int) -> None:
        self._levels: Dict[str, ThreadPoolExecutor] = {
            level: ThreadPoolExecutor(size, thread_name_prefix=f"import of {level}") for level in LEVELS
        }

    def each(self, level: str, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Do the work for each, in any order; returns when all is done, and raises what one of them raised."""
        begun = [self._levels[level].submit(work, item) for item in items]
        try:
            wait(begun, return_when=FIRST_EXCEPTION)
        finally:
            for future in begun:
                future.cancel()
        # What had begun ends before the error is told: nothing is moved behind the back of who is told of it.
        wait(begun)
        for future in begun:
            if not future.cancelled():
                future.result()

    def close(self) -> None:
        for level in self._levels.values():
            level.shutdown(wait=False)
