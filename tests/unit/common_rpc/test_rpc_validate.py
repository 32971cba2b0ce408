"""Rules of the contracts: each kind holds, and each violation says where, what and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from modelog_common.domain.errors import Invalid
from modelog_common.rpc.validate import validate
from modelog_proto.common.v1 import common_pb2
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.training.v1 import training_pb2

Make = Callable[..., Any]
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def make(message_class: Any) -> Make:
    """A message that is in order, but for the fields given."""
    good = {"name": "x", "at_least": 1, "must_colour": 1, "items": ["a"], "one": {"name": "x"}}
    return lambda **fields: message_class(**{**good, **fields})


def violations(message: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as error:
        validate(message)
    return [(v.field, v.description) for v in error.value.violations]


def test_a_message_in_order(make: Make) -> None:
    validate(make())


def test_everything_that_may_not_be_left_out_is_named_at_once(message_class: Any) -> None:
    assert violations(message_class()) == [
        ("name", "is missing; allowed: 1 to 10 characters"),
        ("at_least", "0 is out of range; allowed: 1 or more"),
        ("must_colour", "is missing; allowed: RED, GREEN"),
        ("items", "is missing; at least 1 item is needed"),
        ("one", "is missing; it must be given"),
    ]


def test_the_text_of_the_error_has_all_violations(message_class: Any) -> None:
    with pytest.raises(Invalid, match=r"^name: is missing; .*; at_least: 0 is out of range"):
        validate(message_class())


@pytest.mark.parametrize(
    "fields",
    [
        {"plain": "x" * 4096},
        {"name": "x" * 10},
        {"name": "ä" * 10},
        {"short": "abc"},
        {"digits": "0123"},
        {"bare_pattern": "ab"},
        {"raw": b"x" * 100_000},
        {"blob": b"1234"},
        {"percent": 0.0},
        {"percent": 100.0},
        {"free_number": NAN},
        {"free_number": INF},
        {"at_most": 10},
        {"maybe": 1.25},
        {"colour": 0},
        {"colour": 2},
        {"colours": [0, 1, 2]},
        {"items": ["", "abcd"]},
        {"numbers": [0.0, INF]},
        {"many": [1] * 10_000},
        {"tags": {"k" * 250: "12345", "b": ""}},
        {"scores": {"a": 0.0}},
        {"children": [{"name": "x"}] * 30},
        {"json": {"a": [1, None, {"b": True}]}},
        {"at": {"seconds": 253_402_300_799, "nanos": 999_999_999}},
    ],
)
def test_what_is_allowed(make: Make, fields: dict[str, Any]) -> None:
    validate(make(**fields))


@pytest.mark.parametrize(
    ("fields", "path", "text"),
    [
        ({"plain": "x" * 4097}, "plain", f"'{'x' * 58}… has 4097 characters; allowed: 0 to 4096 characters"),
        ({"name": "x" * 11}, "name", "'xxxxxxxxxxx' has 11 characters; allowed: 1 to 10 characters"),
        ({"short": "ab"}, "short", "'ab' has 2 characters; allowed: 3 to 5 characters"),
        ({"digits": "12a"}, "digits", "'12a' is not allowed; allowed: digits"),
        ({"digits": "12\n"}, "digits", "'12\\n' is not allowed; allowed: digits"),
        ({"digits": "١٢"}, "digits", "'١٢' is not allowed; allowed: digits"),
        ({"bare_pattern": "abc"}, "bare_pattern", "'abc' is not allowed; allowed: text that matches a|ab"),
        ({"blob": b"12345"}, "blob", "has 5 bytes; allowed: 0 to 4 bytes"),
        ({"long_blob": b"1"}, "long_blob", "has 1 bytes; allowed: 2 to any number of bytes"),
        ({"percent": -0.1}, "percent", "-0.1 is out of range; allowed: 0 to 100"),
        ({"percent": 100.5}, "percent", "100.5 is out of range; allowed: 0 to 100"),
        ({"percent": NAN}, "percent", "nan is out of range; allowed: 0 to 100"),
        ({"at_least": -1}, "at_least", "-1 is out of range; allowed: 1 or more"),
        ({"at_most": 2**64 - 1}, "at_most", f"{2**64 - 1} is out of range; allowed: 10 or less"),
        ({"maybe": 0}, "maybe", "0.0 is out of range; allowed: 1 to 1.5"),
        ({"colour": 7}, "colour", "7 is not a value of Colour; allowed: UNSPECIFIED, RED, GREEN"),
        ({"must_colour": 9}, "must_colour", "9 is not a value of Colour; allowed: RED, GREEN"),
        ({"colours": [1, 5]}, "colours[1]", "5 is not a value of Colour; allowed: UNSPECIFIED, RED, GREEN"),
        ({"items": ["a", "b", "c", "d"]}, "items", "has 4 items; allowed: 1 to 3"),
        ({"items": ["a", "12345"]}, "items[1]", "'12345' has 5 characters; allowed: 0 to 4 characters"),
        ({"numbers": [1.0, NAN]}, "numbers[1]", "nan is out of range; allowed: 0 or more"),
        ({"many": [1] * 10_001}, "many", "has 10001 items; allowed: 0 to 10000"),
        ({"tags": {"a": "", "b": "", "c": ""}}, "tags", "has 3 items; allowed: 0 to 2"),
        ({"tags": {"": "x"}}, "tags['']", "the key has 0 characters; allowed: 1 to 250"),
        ({"tags": {"k" * 251: "x"}}, f"tags['{'k' * 40}']", "the key has 251 characters; allowed: 1 to 250"),
        ({"tags": {"k": "123456"}}, "tags['k']", "'123456' has 6 characters; allowed: 0 to 5 characters"),
        ({"scores": {"k": NAN}}, "scores['k']", "nan is out of range; allowed: 0 or more"),
        ({"children": [{"name": "x"}, {}]}, "children[1].name", "is missing; allowed: 1 to 10 characters"),
        ({"named": {"k": {}}}, "named['k'].name", "is missing; allowed: 1 to 10 characters"),
        ({"one": {}}, "one.name", "is missing; allowed: 1 to 10 characters"),
        ({"at": {"seconds": 253_402_300_800}}, "at", "253402300800 s 0 ns is no time; allowed: years 1 to 9999, "),
        ({"at": {"nanos": -1}}, "at", "0 s -1 ns is no time; allowed: years 1 to 9999, nanos 0 to 999999999"),
        ({"json": {"a": [1, {"b": NAN}]}}, "json.a[1].b", "is nan; allowed: finite numbers"),
        ({"json": {"a": INF}}, "json.a", "is inf; allowed: finite numbers"),
        ({"json": {"a": "x" * (1 << 20)}}, "json", " bytes; allowed: 1048576"),
    ],
)
def test_what_is_refused(make: Make, fields: dict[str, Any], path: str, text: str) -> None:
    ((found_path, found_text),) = violations(make(**fields))
    assert found_path == path
    assert text in found_text


def test_a_message_that_holds_itself_is_checked_all_the_way_down(make: Make) -> None:
    inside = make(again=make(again=make(percent=200)))
    assert violations(inside) == [("again.again.percent", "200.0 is out of range; allowed: 0 to 100")]


def nested(levels: int) -> Struct:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    struct = Struct()
    struct.update(value)
    return struct


def test_json_may_be_twenty_levels_deep(make: Make) -> None:
    validate(make(json=nested(20)))
    assert violations(make(json=nested(21))) == [("json", "is nested deeper than 20 levels; allowed: 20")]


def test_at_most_twenty_violations_are_collected(make: Make) -> None:
    found = violations(make(children=[{}] * 30))
    assert len(found) == 20
    assert found[-1][0] == "children[19].name"
    assert len(violations(make(colours=[9] * 100, numbers=[-1] * 100))) == 20
    assert len(violations(make(named={str(n): {} for n in range(30)}))) == 20


def test_paths_of_a_real_contract() -> None:
    request = training_pb2.SubmitJobRequest(
        spec=training_pb2.JobSpec(
            name="x",
            experiment="e",
            datasets=[common_pb2.DatasetRef(dataset="flights", version=1), common_pb2.DatasetRef(dataset="flights")],
        )
    )
    assert ("spec.datasets[1].version", "0 is out of range; allowed: 1 or more") in violations(request)


def test_wanted_words_of_a_real_contract() -> None:
    assert violations(model_pb2.PromoteVersionRequest(model="m", version="1.0.0")) == [
        ("stage", "is missing; allowed: STAGE_DEVELOPMENT, STAGE_STAGING, STAGE_PRODUCTION, STAGE_ARCHIVED")
    ]
    name = "a name in any script, without '/', ':', braces and control characters"
    assert violations(model_pb2.RegisterModelRequest(name="a/b")) == [
        ("name", f"'a/b' is not allowed; allowed: {name}")
    ]
    assert violations(model_pb2.RegisterModelRequest()) == [("name", f"is missing; allowed: {name}")]
    read = common_pb2.ReadOptions(as_of="yesterday")
    assert violations(model_pb2.GetModelRequest(name="m", read=read)) == [
        (
            "read.as_of",
            "'yesterday' is not allowed; allowed: "
            "a position such as 1234 or an RFC 3339 time such as 2026-11-24T09:00:00Z",
        )
    ]
