"""Which version answers which key: a key has its place for good, and a new split moves no more keys than it must."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

POINTS = 1_000_000


@dataclass(frozen=True)
class Segment:
    """The points from `start` up to but not including `end` belong to a version."""

    start: int
    end: int
    version: str


def point_of(salt: str, key: str) -> int:
    """A key's place, 0 to POINTS - 1: BLAKE2b of the key, salted so that deployments do not draw the same keys."""
    digest = blake2b(key.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest, "big") * POINTS >> 64


def version_at(segments: Sequence[Segment], point: int) -> str:
    """The version that owns a point."""
    return segments[bisect_right(segments, point, key=lambda s: s.start) - 1].version


def lay_out(segments: Sequence[Segment], percents: Mapping[str, float]) -> tuple[Segment, ...]:
    """The segments for new percents, which add up to 100 or nearly so.

    Every version keeps as many of its points as its new share allows; only what is over changes hands.
    """
    wanted = _points(percents)
    laid: list[Segment] = []
    free: list[tuple[int, int]] = []
    for segment in segments or (Segment(0, POINTS, ""),):
        kept = min(segment.end - segment.start, wanted.get(segment.version, 0))
        if kept:
            wanted[segment.version] -= kept
            laid.append(Segment(segment.start, segment.start + kept, segment.version))
        free.append((segment.start + kept, segment.end))
    for version, still in wanted.items():
        while still:
            start, end = free.pop(0)
            taken = min(still, end - start)
            still -= taken
            laid.append(Segment(start, start + taken, version))
            if start + taken < end:
                free.insert(0, (start + taken, end))
    return _joined(sorted((s for s in laid if s.end > s.start), key=lambda s: s.start))


def _points(percents: Mapping[str, float]) -> dict[str, int]:
    """Whole points for each version, POINTS in all; what rounding leaves goes to the largest."""
    points = {version: round(percent * POINTS / 100) for version, percent in percents.items()}
    largest = max(points, key=lambda version: points[version])
    points[largest] += POINTS - sum(points.values())
    return points


def _joined(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    joined: list[Segment] = []
    for segment in segments:
        if joined and joined[-1].version == segment.version:
            joined[-1] = Segment(joined[-1].start, segment.end, segment.version)
        else:
            joined.append(segment)
    return tuple(joined)
