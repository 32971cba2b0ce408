"""Event types: stored names, JSON payloads, upcasters, and what an older release says to a newer event."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.events.types import EventTypes, UnknownEvent, event, spec_of


@event("test.Named", version=3)
class Named:
    name: str
    size: int = 0
    at: datetime | None = None


@event("test.Gone")
class Gone:
    name: str


def rename(old: dict[str, object]) -> dict[str, object]:
    return {**{k: v for k, v in old.items() if k != "title"}, "name": old["title"]}


def add_size(old: dict[str, object]) -> dict[str, object]:
    return {**old, "size": 7}


UPCASTERS = {("test.Named", 1): rename, ("test.Named", 2): add_size}
TYPES = EventTypes([Named, Gone], UPCASTERS)


@given(st.text(), st.integers(-(2**62), 2**62), st.datetimes(timezones=st.just(UTC)) | st.none())
def test_an_event_is_read_as_it_was_written(name: str, size: int, at: datetime | None) -> None:
    written = Named(name, size, at)
    assert TYPES.decode(*TYPES.encode(written)) == written


def test_the_stored_name_is_not_a_python_path() -> None:
    assert TYPES.encode(Named("x")) == ("test.Named", 3, b'{"name":"x","size":0,"at":null}')
    assert spec_of(Named).name == "test.Named"


def test_events_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Named("x").name = "y"  # type: ignore[misc]


def test_old_payloads_pass_through_every_upcaster() -> None:
    assert TYPES.decode("test.Named", 1, b'{"title":"x"}') == Named("x", 7)
    assert TYPES.decode("test.Named", 2, b'{"name":"x"}') == Named("x", 7)


def test_a_missing_upcaster_is_found_at_start() -> None:
    with pytest.raises(ValueError, match=r"test.Named 3 lacks upcasters from versions \[2\]"):
        EventTypes([Named], {("test.Named", 1): rename})


def test_two_types_under_one_name_are_found_at_start() -> None:
    with pytest.raises(ValueError, match=r"two event types are stored as test\.Gone"):
        EventTypes([Gone, Gone])


def test_unknown_and_newer_events_are_refused() -> None:
    with pytest.raises(UnknownEvent, match=r"test\.Other is not known"):
        TYPES.decode("test.Other", 1, b"{}")
    with pytest.raises(UnknownEvent, match="newer release; this one reads up to 3"):
        TYPES.decode("test.Named", 4, b"{}")
    assert "test.Named" in TYPES
    assert "test.Other" not in TYPES


def test_only_declared_events_of_the_service_are_encoded() -> None:
    @event("test.Stranger")
    class Stranger:
        pass

    with pytest.raises(TypeError, match=r"test\.Stranger does not belong"):
        TYPES.encode(Stranger())
    with pytest.raises(TypeError, match="was not declared"):
        TYPES.encode(object())


def test_the_same_bytes_are_another_event_under_another_name() -> None:
    payload = b'{"name":"x"}'
    read = [TYPES.decode(name, version, payload) for name, version in (("test.Named", 3), ("test.Gone", 1)) * 2]
    assert read == [Named("x"), Gone("x")] * 2
