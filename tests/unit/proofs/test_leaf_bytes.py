"""The bytes of a leaf are a published format: they may not change."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone

import modelog_proofs.leaf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_proofs import EventRecord, InvalidEvent, event_hash, hash_leaf, leaf_bytes, leaf_index, recorded_at_text

EXAMPLE = EventRecord(1, "e1", "s-1", 1, "t.T", 1, "2013-01-01T00:00:00Z", "a", "b", "", "", "", b"{}")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
RECORDS = st.builds(
    EventRecord,
    position=st.integers(1, 2**63 - 1),
    event_id=TEXT,
    stream=TEXT,
    version=st.integers(0, 2**63 - 1),
    type=TEXT,
    schema=st.integers(0, 99),
    recorded_at=TEXT,
    tenant=TEXT,
    actor=TEXT,
    correlation=TEXT,
    causation=TEXT,
    trace=TEXT,
    payload=st.binary(max_size=20),
)


def read_leaf(leaf: bytes) -> list[bytes]:
    """A reader written from the specification alone."""
    assert leaf[:15] == b"modelog.event/1"
    rest, values = leaf[15:], []
    while rest:
        length = int.from_bytes(rest[:4], "big")
        values.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
    return values


def test_the_example_in_the_specification_is_what_is_computed() -> None:
    documentation = modelog_proofs.leaf.__doc__ or ""
    example = documentation[documentation.index("separated here by spaces:") :].partition(":")[2]
    assert leaf_bytes(EXAMPLE) == bytes.fromhex("".join(example.split()))


def test_the_hash_of_the_example_never_changes() -> None:
    assert event_hash(EXAMPLE) == hash_leaf(leaf_bytes(EXAMPLE))
    assert event_hash(EXAMPLE).hex() == "84bc09b147a9cacc4d0145c4cdd4619ca729a117df64c891d8fbc472eddb4360"
    assert leaf_index(EXAMPLE.position) == 0


@given(RECORDS)
def test_the_specification_reads_every_field_back(record: EventRecord) -> None:
    expected = [v if isinstance(v, bytes) else str(v).encode() for v in asdict(record).values()]
    assert read_leaf(leaf_bytes(record)) == expected


@given(RECORDS, RECORDS)
def test_different_events_have_different_leaves(one: EventRecord, other: EventRecord) -> None:
    assert (leaf_bytes(one) == leaf_bytes(other)) == (one == other)


def test_text_moved_between_two_fields_is_another_leaf() -> None:
    moved = replace(EXAMPLE, tenant="ab", actor="")
    assert leaf_bytes(moved) != leaf_bytes(EXAMPLE)


def test_a_time_has_one_text_whatever_its_zone() -> None:
    zone = timezone(timedelta(hours=-5))
    assert recorded_at_text(datetime(2013, 2, 1, 19, tzinfo=zone)) == "2013-02-02T00:00:00.000000+00:00"
    with pytest.raises(InvalidEvent, match="recorded_at must have a time zone, 2013-02-01T00:00:00 has none"):
        recorded_at_text(datetime(2013, 2, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("position", 0, "position must be 1 or more, it is 0"),
        ("version", -1, "version must be 0 or more, it is -1"),
        ("version", "1", "version must be an integer, it is text"),
        ("schema", True, "schema must be an integer, it is bool"),
        ("schema", 1.0, "schema must be an integer, it is a real number"),
        ("stream", b"s", "stream must be text, it is bytes"),
        ("causation", None, "causation must be text, it is null"),
        ("actor", "\ud800", "actor is not valid UTF-8 text"),
        ("payload", "{}", "payload must be bytes, it is text"),
    ],
)
def test_what_cannot_be_a_leaf_is_named(field: str, value: object, sentence: str) -> None:
    with pytest.raises(InvalidEvent, match=f"^{sentence}$"):
        leaf_bytes(EventRecord(**{**asdict(EXAMPLE), field: value}))
