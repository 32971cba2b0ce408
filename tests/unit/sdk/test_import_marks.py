"""What names and times of another tracker become here."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from modelog.moving.marks import fingerprint, moment, request_of, tidied


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("späte Flüge/x", "späte Flüge/x"), (" a\tb\x00 ", "a b"), ("x" * 300, "x" * 200), ("", ""), (" " * 9, "")],
)
def test_a_name_is_made_one_that_is_allowed(name: str, allowed: str) -> None:
    assert tidied(name) == allowed


def test_the_same_thing_of_a_source_is_the_same_request() -> None:
    assert request_of("run", "a") == request_of("run", "a")
    assert len({request_of("run", "a"), request_of("run", "b"), request_of("model", "a")}) == 3


def test_times_are_milliseconds() -> None:
    assert moment("1600000000001") == datetime(2020, 9, 13, 12, 26, 40, 1000, tzinfo=UTC)
    assert moment(None) is None
    assert moment(0) is None


def test_a_fingerprint_knows_no_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": "ü"}) == fingerprint({"b": "ü", "a": 1}) != fingerprint({"a": 2, "b": "ü"})
