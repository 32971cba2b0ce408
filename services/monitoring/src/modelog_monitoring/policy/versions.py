"""Which versions of a dataset a challenger may be trained on."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_monitoring.monitor.window import Window, window_of_label


def versions_up_to(window: Window, labels: Sequence[tuple[int, str]]) -> list[int]:
    """The versions whose label names this window or an earlier one, in order; `labels` are (version, label).

    A dataset whose labels name no windows cannot be cut by time: all of its versions are taken.
    """
    named = [(version, window_of_label(window.unit, label)) for version, label in labels]
    if any(found is None for _, found in named):
        return sorted(version for version, _ in named)
    return sorted(version for version, found in named if found is not None and found.start <= window.start)
