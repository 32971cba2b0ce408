"""Rows that are told by their requests are the rows, wherever they are used."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modelog_serving.predlog.answers import Answerer, Answers, join, to_batch
from modelog_serving.predlog.journal import Journal
from modelog_serving.predlog.rows import MOST_ROWS, Repeated, RowIds, bounds, ids_of, ids_text, joined, keys_of
from modelog_serving.predlog.stored import stored
from msgspec import structs

ID = st.text(st.characters(codec="ascii"), max_size=40) | st.text(st.characters(exclude_categories=["Cs"]), max_size=90)
REQUEST = st.tuples(ID, ID, st.integers(-(2**63), 2**63 - 1), st.integers(1, 120))
REQUESTS = st.lists(REQUEST, min_size=1, max_size=6)


def answers(requests: Sequence[tuple[str, str, int, int]], keyed: bool = True) -> Answers:
    """As the short way tells them."""
    ids, keys, times, rows = zip(*requests, strict=True)
    count = sum(rows)
    return Answers(
        tenant="acme", deployment="flights", model="delay", ids=RowIds(ids, rows), event_times_us=Repeated(times, rows),
        keys=Repeated(keys, rows) if keyed else (), answerers=[Answerer("1.0.0", "a" * 64)],
        answered_by=np.zeros(count, np.uint8), feature_names=["x"],
        features=np.arange(count, dtype=np.float32).reshape(count, 1), outputs=np.ones((count, 1), np.float32),
        given_ids=False,
    )  # fmt: skip


def each(told: Answers) -> Answers:
    """The same, row by row."""
    return structs.replace(told, ids=list(told.ids), event_times_us=list(told.event_times_us), keys=list(told.keys))


def written(told: Answers) -> bytes:
    return to_batch(told, 7, "log", 9).SerializeToString()


def test_the_ids_of_rows_are_those_of_their_request_with_an_ending() -> None:
    ids = RowIds(["a", "b", "c"], [1, 3, 2])
    assert list(ids) == ["a", "b.0", "b.1", "b.2", "c.0", "c.1"]
    assert (len(ids), ids[2], ids[-1], ids[1:3]) == (6, "b.1", "c.1", ["b.0", "b.1"])
    assert list(Repeated(["a", "b"], [1, 2])) == ["a", "b", "b"]


@given(ID, st.integers(1, MOST_ROWS))
def test_ids_as_one_text_are_the_ids(request_id: str, rows: int) -> None:
    assert ids_text(request_id, rows) == ",".join(ids_of(request_id, rows))


@given(REQUESTS)
def test_the_first_and_the_last_are_those_of_all(requests: Sequence[tuple[str, str, int, int]]) -> None:
    ids = answers(requests).ids
    assert bounds(ids) == bounds(list(ids)) == (min(ids), max(ids))
    assert bounds([]) == bounds(RowIds([], [])) == ("", "")


@given(REQUESTS, st.booleans())
@settings(deadline=None)
def test_they_are_stored_as_if_told_row_by_row(requests: Sequence[tuple[str, str, int, int]], keyed: bool) -> None:
    told = answers(requests, keyed)
    assert stored(told, 7, "log", 9) == written(told) == written(each(told))


@given(st.lists(st.tuples(REQUESTS, st.booleans(), st.booleans()), min_size=2, max_size=4))
@settings(deadline=None)
def test_joined_they_are_as_if_told_row_by_row(
    parts: Sequence[tuple[Sequence[tuple[str, str, int, int]], bool, bool]],
) -> None:
    told = [answers(requests, keyed) for requests, keyed, _ in parts]
    mixed = [each(one) if by_row else one for one, (_, _, by_row) in zip(told, parts, strict=True)]
    expected = written(join([each(one) for one in told]))
    for some in (told, mixed):
        assert written(join(some)) == stored(join(some), 7, "log", 9) == expected


def test_requests_that_are_joined_stay_told_by_requests() -> None:
    one, other = answers([("a", "k", 1, 3)]), answers([("b", "l", 2, 2)])
    found = join([one, other])
    assert (found.ids, found.keys) == (RowIds(["a", "b"], [3, 2]), Repeated(["k", "l"], [3, 2]))
    single = answers([("c", "c", 3, 1)], keyed=False)
    assert join([one, single]).keys == Repeated(["k", "c"], [3, 1])
    assert joined([keys_of((), RowIds(["a"], [2])), ["k"]]) == ["a.0", "a.1", "k"]


@given(REQUESTS, st.booleans(), st.booleans())
@settings(deadline=None)
def test_the_journal_gives_back_what_it_took(
    requests: Sequence[tuple[str, str, int, int]], keyed: bool, by_row: bool
) -> None:
    told = answers(requests, keyed)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "predictions.db")
        journal.append(each(told) if by_row else told, 9)
        (found,) = journal.read(0)
        journal.close()
    assert written(found.answers) == written(told)
    assert isinstance(found.answers.ids, RowIds) != by_row


def test_what_is_not_told_by_the_same_requests_goes_into_the_journal_row_by_row(tmp_path: Path) -> None:
    told = answers([("a", "k", 1, 3), ("b", "l", 2, 1)])
    odd = structs.replace(told, keys=Repeated(["k", "l"], [2, 2]))
    journal = Journal(tmp_path / "predictions.db")
    for some in (odd, structs.replace(told, event_times_us=[1, 2, 3, 4]), structs.replace(told, keys=list(told.keys))):
        journal.append(some, 9)
    found = journal.read(0)
    journal.close()
    assert [written(one.answers) for one in found] == [
        written(some) for some in (odd, structs.replace(told, event_times_us=[1, 2, 3, 4]), told)
    ]


def test_a_request_is_written_once_to_the_journal(tmp_path: Path) -> None:
    told = answers([("01a21950-118e-7747-896e-6e2fbd000000", "01a21950-118e-7747-896e-6e2fbd000000", 1, 32)])
    journal = Journal(tmp_path / "predictions.db")
    size, by_row = journal.append(told, 9), journal.append(each(told), 9)
    journal.close()
    assert by_row - size > 31 * 2 * 36


# Two frames of the release before: a request of two rows with its keys, and one of one row.
BEFORE = bytes.fromhex(
    "0100000000000000a60000005f89a6139ca461636d65a7666c6967687473ac666c696768742d64656c617992a3752e30a3752e3192000192"
    "a16ba16b9192a5312e302e30d940616161616161616161616161616161616161616161616161616161616161616161616161616161616161"
    "61616161616161616161616161616161616161616161c402000092a161a16292a33c6634c410000000000000803f000000400000404092a3"
    "3c6634c4080000003f0000003f0502000000000000008e0000006b6ff6b09ca461636d65a7666c6967687473ac666c696768742d64656c61"
    "7991a1769100909192a5312e302e30d940616161616161616161616161616161616161616161616161616161616161616161616161616161"
    "61616161616161616161616161616161616161616161616161c4010092a161a16292a33c6634c408000000000000803f92a33c6634c40400"
    "00003f06"
)


def test_what_the_release_before_left_in_its_journal_is_read(tmp_path: Path) -> None:
    (tmp_path / "predictions.db.0").write_bytes(BEFORE)
    journal = Journal(tmp_path / "predictions.db")
    one, other = journal.read(0)
    journal.close()
    assert (list(one.answers.ids), list(one.answers.keys), one.answered_at_us) == (["u.0", "u.1"], ["k", "k"], 5)
    assert (list(other.answers.ids), list(other.answers.keys), other.number) == (["v"], [], 2)
    assert one.answers.features.tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("rows", [1, 2, 10, 11, 100, 101, MOST_ROWS])
def test_any_number_of_rows_is_stored(rows: int) -> None:
    told = answers([("01a21950-118e-7747-896e-6e2fbd000000", "k", 1, rows)])
    assert stored(told, 7, "log", 9) == written(each(told))
    assert bounds(told.ids) == (min(told.ids), max(told.ids))
