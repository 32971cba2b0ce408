"""What a reader takes of the messages that come: each of a counted log once, in the log's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.progress import NOWHERE, Progress


def start_of(topic: str, partition: int, incarnation: str, saved: Progress | None) -> Progress:
    """Where reading begins: at the saved offset when the topic is still the same, else at 0, knowing what was seen."""
    if saved is None:
        return Progress(topic, partition, incarnation, follows=NOWHERE)
    offset = saved.offset if saved.incarnation == incarnation else 0
    return Progress(topic, partition, incarnation, offset, saved.positions, saved.turn, saved.place)


def after(at: Progress, offset: int, positions: Mapping[str, int]) -> Progress:
    """The next step of a partition's progress, to be saved only if nobody else has gone on from `at`."""
    # What reading began with may be another incarnation's row, which was not replaced yet.
    follows = at.follows if at.follows is not None else at.place
    return Progress(at.topic, at.partition, at.incarnation, offset, positions, at.turn + 1, follows)


def settled(done: Progress) -> Progress:
    """What the next step goes on from, now that `done` was stored."""
    return replace(done, follows=None)


def last_offset(messages: Sequence[Received | Poison]) -> int:
    """The highest offset among messages of one partition."""
    return max(m.message.offset if isinstance(m, Poison) else m.offset for m in messages)


def sift(
    messages: Sequence[Received], seen: Mapping[str, int]
) -> tuple[list[Received], dict[str, int], list[Received]]:
    """Split messages into new ones, with the positions seen after them, and ones that came before their predecessor.

    Dropped are those whose source and position were seen. One that follows a message not yet seen is left out as well:
    it got into a renewed topic before its publisher noticed, and comes again in its place.
    """
    positions = dict(seen)
    fresh: list[Received] = []
    gaps: list[Received] = []
    for message in messages:
        if message.position == 0:
            fresh.append(message)
            continue
        high = positions.get(message.source, 0)
        if message.position <= high:
            continue
        if message.previous > high:
            gaps.append(message)
            continue
        positions[message.source] = message.position
        fresh.append(message)
    return fresh, positions, gaps
