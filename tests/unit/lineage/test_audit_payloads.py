"""Any payload can be shown, sent and read again."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from modelog_lineage.audit.records import LONGEST_BYTES, NOT_SHOWN, payload_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_shown(payload: bytes) -> None:
    shown = payload_of(payload)
    assert Struct.FromString(shown.SerializeToString()) == shown


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_objects_are_shown_as_they_are(value: dict[str, object]) -> None:
    shown = payload_of(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    assert json_format.MessageToDict(shown) == json_format.MessageToDict(payload_of(json.dumps(value).encode()))


def test_kinds_of_values() -> None:
    shown = payload_of(b'{"n": null, "t": true, "i": 7, "f": 0.5, "s": "x", "l": [1, "a"], "o": {}, "e": []}')
    assert json_format.MessageToDict(shown) == {
        "n": None, "t": True, "i": 7, "f": 0.5, "s": "x", "l": [1, "a"], "o": {}, "e": [],
    }  # fmt: skip


@pytest.mark.parametrize("value", [2**53 + 1, -(2**60), 10**30])
def test_no_digit_of_a_large_integer_is_lost(value: int) -> None:
    assert float(str(value)) != 0
    shown = payload_of(b'{"n": %d}' % value)["n"]
    assert shown == str(value) or int(str(shown).partition(".")[0]) == value


def test_what_is_nested_too_deeply_to_be_sent_is_shown_as_text() -> None:
    shown = payload_of(b'{"a":' * 50 + b"1" + b"}" * 50)
    assert Struct.FromString(shown.SerializeToString()) == shown
    assert '{"a":{"a":' in str(json_format.MessageToDict(shown))


def test_what_is_too_long_is_told_and_not_shown() -> None:
    payload = b'"' + b"x" * LONGEST_BYTES + b'"'
    assert payload_of(payload)[NOT_SHOWN] == f"{len(payload)} bytes, more than the 1048576 that are shown"
