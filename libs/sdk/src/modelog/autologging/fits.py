"""What is told of the fits of one run: parameters once, metrics by step in batches, models as files."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from modelog.errors import Unavailable
from modelog.types import MetricColumn

if TYPE_CHECKING:
    from modelog.active import ActiveRun

# So many points are sent together, or what has gathered in so many seconds.
BATCH_POINTS = 1000
FLUSH_EVERY_S = 2.0
NAME_LONGEST = 250
TEXT_LONGEST = 500
_PLAIN = (str, int, float, bool)


class Fit:
    """One fit: its names begin with `prefix`."""

    def __init__(self, fits: Fits, prefix: str) -> None:
        self._fits, self._prefix = fits, prefix

    @property
    def keeps_models(self) -> bool:
        return self._fits.models

    def params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters; what is no text, number or truth value is kept as the text that Python shows.

        Those that the run has already keep their values.
        """
        told = {f"{self._prefix}{name}"[:NAME_LONGEST]: plain(value) for name, value in params.items()}
        known = self._fits.run.params()
        self._fits.run.log_params({name: value for name, value in told.items() if name not in known})

    def metric(self, name: str, value: Any, step: int) -> None:
        """Keep one point of a curve; it may be sent later."""
        self._fits.add(f"{self._prefix}{name}"[:NAME_LONGEST], float(value), step)

    def text(self, path: str, text: str) -> None:
        """Keep a text as an artifact."""
        self.file(path, lambda file: file.write_text(text, encoding="utf-8"))

    def model(self, path: str, save: Callable[[Path], Any]) -> None:
        """Keep the fitted model as an artifact, when models are wanted; `save` writes it to a path."""
        if self.keeps_models:
            self.file(path, save)

    def file(self, path: str, save: Callable[[Path], Any]) -> None:
        """Keep what `save` writes as an artifact."""
        with tempfile.TemporaryDirectory(prefix="modelog-") as folder:
            file = Path(folder) / Path(path).name
            save(file)
            self.keep(path, file)

    def keep(self, path: str, file: Path) -> None:
        """Keep a file as an artifact."""
        self._fits.run.log_artifact(file, f"{self._prefix}{path}")


class Fits:
    """The fits of one run. A fit within a fit, as a search or a boosted ensemble has them, belongs to the outer one."""

    def __init__(self, run: ActiveRun, models: bool) -> None:
        self.run, self.models = run, models
        self._count = 0
        self._within = threading.local()
        self._lock = threading.Lock()
        self._points: List[Tuple[str, int, int, float]] = []
        self._flushed_at = time.monotonic()

    @contextmanager
    def fit(self) -> Iterator[Optional[Fit]]:
        """A new fit, or None within another one."""
        if getattr(self._within, "depth", 0):
            yield None
            return
        with self._lock:
            self._count += 1
            prefix = f"fit{self._count}." if self._count > 1 else ""
        self._within.depth = 1
        try:
            yield Fit(self, prefix)
        finally:
            self._within.depth = 0
            self._try_to_flush()

    def add(self, name: str, value: float, step: int) -> None:
        with self._lock:
            self._points.append((name, step, time.time_ns() // 1_000_000, value))
            due = len(self._points) >= BATCH_POINTS or time.monotonic() - self._flushed_at > FLUSH_EVERY_S
        if due:
            self._try_to_flush()

    def flush(self) -> None:
        """Send what has gathered. Raises Unavailable; then it is still there."""
        with self._lock:
            while self._points:
                self.run.log_points(_columns(self._points[:BATCH_POINTS]))
                del self._points[:BATCH_POINTS]
            self._flushed_at = time.monotonic()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except Unavailable:
            # It is sent with what comes next, or at the end, which says so.
            self._flushed_at = time.monotonic()


def plain(value: Any) -> Any:
    """What JSON can hold of a parameter's value."""
    if isinstance(value, _PLAIN) and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    text = str(value)
    return text if len(text) <= TEXT_LONGEST else f"{text[: TEXT_LONGEST - 3]}..."


def _columns(points: List[Tuple[str, int, int, float]]) -> List[MetricColumn]:
    columns: Dict[str, MetricColumn] = {}
    for name, step, at, value in points:
        column = columns.setdefault(name, MetricColumn(name=name))
        column.steps.append(step)
        column.times_ms.append(at)
        column.values.append(value)
    return list(columns.values())
