"""Which metrics a batch has, and how many points of each: its shape. Batches share shapes, and a store keeps each once.

So a metric is looked for in a few shapes and not in every batch, and of the batches only those are read whose steps
reach into the page that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

import msgspec

from modelog_common.stores.curves import Block
from modelog_common.stores.curves.thinning import Span

_Names = tuple[tuple[str, ...], tuple[int, ...]]


class Shape(NamedTuple):
    """The metrics of a batch, and where the points of each begin."""

    names: tuple[str, ...]
    counts: tuple[int, ...]
    begins: tuple[int, ...]

    @property
    def total(self) -> int:
        return self.begins[-1]


class Part(NamedTuple):
    """Points of a metric in one batch; the batch's steps lie between `first_step` and `last_step`."""

    first_step: int
    last_step: int
    number: int
    begins: int
    points: int
    total: int


def shape_text(block: Block) -> bytes:
    """A block's shape as it is kept."""
    return msgspec.json.encode((block.names, block.counts))


def shape_of(text: bytes) -> Shape:
    """What was kept."""
    names, counts = msgspec.json.decode(text, type=_Names)
    return Shape(names, counts, tuple(accumulate(counts, initial=0)))


def parts_of(shape: Shape, metric: str, batches: Iterable[tuple[int, int, int]]) -> Iterator[Part]:
    """Where points of a metric are in batches of one shape: each its number, its first and its last step."""
    places = [n for n, name in enumerate(shape.names) if name == metric]
    for number, first, last in batches:
        for n in places:
            yield Part(first, last, number, shape.begins[n], shape.counts[n], shape.total)


def needed(parts: Iterable[Part], offset: int, limit: int) -> Iterator[tuple[list[Part], slice]]:
    """The parts that a page is made of: in groups, of which each is put in order and then cut."""
    end, begins = offset + limit, 0
    for group in _apart(parts):
        count = sum(part.points for part in group)
        if begins < end and begins + count > offset:
            yield _as_appended(group), slice(max(offset - begins, 0), end - begins)
        begins += count


def pieces(parts: Iterable[Part], span: Span | None, points: int) -> list[list[Part]]:
    """The parts that points of a span may be in, in pieces of about so many points, each after the one before it."""
    found: list[list[Part]] = []
    room = 0
    for group in _apart(part for part in parts if span is None or _reaches_into(part, span)):
        if room <= 0:
            found.append([])
            room = points
        found[-1] += group
        room -= sum(part.points for part in group)
    return [_as_appended(piece) for piece in found]


def _reaches_into(part: Part, span: Span) -> bool:
    return span.along == "times" or (part.first_step <= span.last and part.last_step >= span.first)


def _as_appended(parts: Iterable[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: (part.number, part.begins))


def _apart(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts in groups, by step: no point of a group comes before one of the group ahead of it."""
    group: list[Part] = []
    until = 0
    for part in sorted(parts):
        if group and part.first_step > until:
            yield group
            group = []
        until = max(until, part.last_step) if group else part.last_step
        group.append(part)
    if group:
        yield group
