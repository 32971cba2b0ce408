"""A segment of a prediction log as its event left it."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_serving.segment.events import SegmentEvent


@dataclass(frozen=True)
class Segment:
    """Its number and root; 0 and "" before it is sealed."""

    number: int = 0
    root: str = ""


def evolve(_segment: Segment, event: SegmentEvent) -> Segment:
    """Fold one event."""
    return Segment(event.number, event.root)
