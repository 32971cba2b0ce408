"""Which messages a consumer takes: each of a log once and in order, however often the log is published."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from modelog_common.bus.envelope import Poison, Received
from modelog_common.bus.progress import Progress
from modelog_common.bus.source import last_offset, sift, start_of


def message(position: int, previous: int, source: str = "/a", offset: int = 0) -> Received:
    return Received("t", 0, offset, b"", b"", {}, source, position, previous)


def test_new_messages_are_taken_in_order_and_counted() -> None:
    fresh, positions, gaps = sift([message(3, 0), message(7, 3)], {})
    assert [m.position for m in fresh] == [3, 7]
    assert positions == {"/a": 7}
    assert gaps == []


def test_what_was_seen_is_dropped() -> None:
    fresh, positions, _ = sift([message(3, 0), message(7, 3), message(7, 3), message(9, 7)], {"/a": 3})
    assert [m.position for m in fresh] == [7, 9]
    assert positions == {"/a": 9}


def test_a_message_before_its_predecessor_is_left_for_later() -> None:
    fresh, positions, gaps = sift([message(9, 7), message(3, 0), message(7, 3), message(9, 7)], {})
    assert [m.position for m in fresh] == [3, 7, 9]
    assert [m.position for m in gaps] == [9]
    assert positions == {"/a": 9}


def test_sources_are_counted_apart() -> None:
    fresh, positions, _ = sift([message(1, 0, "/a"), message(1, 0, "/b"), message(2, 1, "/b")], {"/a": 1})
    assert [(m.source, m.position) for m in fresh] == [("/b", 1), ("/b", 2)]
    assert positions == {"/a": 1, "/b": 2}


def test_messages_that_do_not_count_are_always_new() -> None:
    plain = Received("t", 0, 0, b"", b"x", {})
    assert sift([plain, plain], {}) == ([plain, plain], {}, [])


def test_without_a_predecessor_only_duplicates_are_dropped() -> None:
    fresh, _, gaps = sift([message(5, -1), message(4, -1)], {})
    assert [m.position for m in fresh] == [5]
    assert gaps == []


@given(
    length=st.integers(1, 8),
    sent=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 8)), max_size=12),
    cut=st.integers(1, 5),
)
def test_whatever_pieces_are_repeated_a_full_publication_at_the_end_gives_each_once(
    length: int, sent: list[tuple[int, int]], cut: int
) -> None:
    """Any pieces of the log, in any order and repeated, then the whole log: readers see 1..n once, in order."""
    log = [message(n, n - 1) for n in range(1, length + 1)]
    stream = [m for start, size in sent for m in log[start : start + size]] + log
    seen: dict[str, int] = {}
    taken: list[int] = []
    for at in range(0, len(stream), cut):
        fresh, seen, _ = sift(stream[at : at + cut], seen)
        taken.extend(m.position for m in fresh)
    assert taken == list(range(1, length + 1))


def test_reading_starts_at_the_saved_offset_only_in_the_same_incarnation() -> None:
    saved = Progress("t", 0, "one", 12, {"/a": 9})
    assert start_of("t", 0, "one", saved) == saved
    assert start_of("t", 0, "two", saved) == Progress("t", 0, "two", 0, {"/a": 9})
    assert start_of("t", 0, "two", None) == Progress("t", 0, "two")


def test_the_last_offset_counts_unreadable_messages_too() -> None:
    assert last_offset([message(1, 0, offset=4), Poison(message(2, 1, offset=5), "no")]) == 5
