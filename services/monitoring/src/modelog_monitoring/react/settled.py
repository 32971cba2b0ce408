"""Up to which event time everything was decided: windows first, then the next step of every challenger.

A producer that holds its clock until a moment is settled sees the platform decide as it would have in real time.
"""

from __future__ import annotations

from collections.abc import Callable

from modelog_monitoring.data.store import Flow, Kind, WindowStore


class Settled:
    """Event times in microseconds by monitor id."""

    def __init__(self) -> None:
        self._windows: dict[str, int] = {}
        self._all: dict[str, int] = {}
        self._position = 0
        self._ring: Callable[[], None] = lambda: None

    def on_change(self, ring: Callable[[], None]) -> None:
        """Call `ring` when the windows of a monitor were looked at up to a later moment."""
        self._ring = ring

    def windows_done(self, monitor_id: str, until_us: int) -> None:
        """Every window that is complete at this moment was evaluated."""
        if until_us > self._windows.get(monitor_id, 0):
            self._windows[monitor_id] = until_us
            self._ring()

    def windows(self) -> dict[str, int]:
        """How far the windows of each monitor were looked at."""
        return dict(self._windows)

    def done(self, windows: dict[str, int], position: int) -> None:
        """Everything that follows from these windows, and from the rows up to then, was decided.

        What was decided stands in the log up to `position`.
        """
        self._all.update(windows)
        self._position = max(self._position, position)

    @property
    def position(self) -> int:
        """Who is told that something is settled should see the log up to here."""
        return self._position

    def of(self, monitor_id: str) -> int | None:
        """Up to when everything was decided; None before the first time."""
        return self._all.get(monitor_id)


def seen_until_us(store: WindowStore, flow: Flow, *, labelled: bool) -> int:
    """The moment up to which predictions, and with a label column their outcomes, have come."""
    marks = [store.watermark(flow)]
    if labelled:
        marks.append(store.watermark(Flow(Kind.OUTCOMES, flow.deployment, flow.tenant)))
    return min((mark or 0) for mark in marks)
