"""Checks of protobuf's own message types whose rules the contracts cannot write down: Struct, Value, Timestamp."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

DEPTH = 20
STRUCT_BYTES = 1 << 20
# 0001-01-01 to 9999-12-31 (google/protobuf/timestamp.proto).
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
NANOS = 1_000_000_000
Found = list[tuple[str, str]]


def of_json(message: Any) -> Found:
    """A Struct, Value or ListValue: at most 1 MiB, 20 levels deep, and every number finite, as JSON has no others."""
    size = message.ByteSize()
    if size > STRUCT_BYTES:
        return [("", f"has {size} bytes; allowed: {STRUCT_BYTES}")]
    # Walked without recursion, so that depth costs no stack.
    todo: list[tuple[Any, int, str]] = [(message, 0, "")]
    while todo:
        value, depth, path = todo.pop()
        kind = value.DESCRIPTOR.name
        if kind == "Value":
            chosen = value.WhichOneof("kind")
            if chosen == "number_value" and not math.isfinite(value.number_value):
                return [(path, f"is {value.number_value}; allowed: finite numbers")]
            if chosen in ("struct_value", "list_value"):
                todo.append((getattr(value, chosen), depth, path))
            continue
        if depth >= DEPTH:
            return [("", f"is nested deeper than {DEPTH} levels; allowed: {DEPTH}")]
        if kind == "Struct":
            fields = value.fields
            todo.extend((fields[key], depth + 1, f"{path}.{key}" if path else key) for key in fields)
        else:
            todo.extend((item, depth + 1, f"{path}[{number}]") for number, item in enumerate(value.values))
    return []


def of_timestamp(message: Any) -> Found:
    """A Timestamp that is a date of the calendar."""
    if FIRST_SECOND <= message.seconds <= LAST_SECOND and 0 <= message.nanos < NANOS:
        return []
    return [
        (
            "",
            f"{message.seconds} s {message.nanos} ns is no time; allowed: years 1 to 9999, nanos 0 to 999999999",
        )
    ]


WELL_KNOWN: dict[str, Callable[[Any], Found]] = {
    "google.protobuf.Struct": of_json,
    "google.protobuf.Value": of_json,
    "google.protobuf.ListValue": of_json,
    "google.protobuf.Timestamp": of_timestamp,
}
