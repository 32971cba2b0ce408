"""Values of messages as plain ones: objects, times, and names for numbers of an enumeration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.errors import Invalid

T = TypeVar("T")


def object_of(struct: Struct, field: str) -> dict[str, Any]:
    """A JSON object; whole numbers become int. Raises Invalid for NaN and infinities, which JSON does not have."""
    return {key: _value_of(value, f"{field}[{key!r}]") for key, value in struct.fields.items()}


def _value_of(value: Value, field: str) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return object_of(value.struct_value, field)
        case "list_value":
            return [_value_of(v, f"{field}[{n}]") for n, v in enumerate(value.list_value.values)]
        case "number_value":
            return _number_of(value.number_value, field)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _number_of(number: float, field: str) -> float:
    if not math.isfinite(number):
        raise Invalid.field(field, f"is {number}; it must be a finite number, a text, or left out")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def moment_of(timestamp: Timestamp, field: str) -> datetime:
    """Raises Invalid for a time outside the years 1 to 9999."""
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except ValueError as error:
        raise Invalid.field(field, f"is not a time of the years 1 to 9999: {error}") from None


def member_of(members: Mapping[T, int], number: int, field: str) -> T:
    """The member that stands for a number of an enumeration; raises Invalid, which lists those that exist."""
    for member, known in members.items():
        if known == number:
            return member
    names = ", ".join(f"{str(member).upper()} ({known})" for member, known in members.items())
    raise Invalid.field(field, f"{number} is not one of {names}")
