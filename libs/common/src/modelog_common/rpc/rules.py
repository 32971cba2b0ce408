"""What one value of a field must obey: length, pattern, range, declared enum; a check returns what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from modelog_proto.common.v1.options_pb2 import Rules

STRING_DEFAULT = 4096
KEY_LONGEST = 250
SHOWN = 60
Check = Callable[[Any], str | None]
FD = FieldDescriptor
NUMBERS = frozenset(
    {FD.CPPTYPE_INT32, FD.CPPTYPE_INT64, FD.CPPTYPE_UINT32, FD.CPPTYPE_UINT64, FD.CPPTYPE_FLOAT, FD.CPPTYPE_DOUBLE}
)


def of_scalar(field: FieldDescriptor, rules: Rules) -> Check | None:
    """The check of one value that is no message; None when anything goes."""
    if field.type == FD.TYPE_STRING:
        return _of_string(rules)
    if field.type == FD.TYPE_BYTES:
        return _of_bytes(rules)
    if field.type == FD.TYPE_ENUM:
        return _of_enum(field, rules)
    if field.cpp_type in NUMBERS and (rules.HasField("minimum") or rules.HasField("maximum")):
        return _of_number(rules)
    return None


def of_map_key(field: FieldDescriptor) -> Check | None:
    """The check of a map's key: 1 to 250 characters."""
    if field.type != FD.TYPE_STRING:
        return None

    def check(key: str) -> str | None:
        if 0 < len(key) <= KEY_LONGEST:
            return None
        return f"the key has {len(key)} characters; allowed: 1 to {KEY_LONGEST}"

    return check


def missing(field: FieldDescriptor, rules: Rules) -> str:
    """What to say when the field is left out; empty when it may be.

    A number without presence that is left out is 0, so a range without 0 makes it needed.
    """
    if field.is_repeated:
        fewest = max(rules.min_items, 1 if rules.required else 0)
        return f"is missing; at least {fewest} {'item is' if fewest == 1 else 'items are'} needed" if fewest else ""
    if rules.required:
        return f"is missing; {_needed(field, rules)}"
    if field.cpp_type in NUMBERS and not field.has_presence:
        check = of_scalar(field, rules)
        return (check(0) or "") if check is not None else ""
    return ""


def shown(value: object) -> str:
    """A value for an error message, shortened."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def range_of(rules: Rules) -> str:
    """The numbers that are allowed, in words."""
    low, high = _number(rules.minimum), _number(rules.maximum)
    if rules.HasField("minimum") and rules.HasField("maximum"):
        return f"{low} to {high}"
    return f"{low} or more" if rules.HasField("minimum") else f"{high} or less"


def enum_names(field: FieldDescriptor, *, zero: bool) -> str:
    """The names of an enum field's values, with or without the unspecified one."""
    enum: Any = field.enum_type
    return ", ".join(value.name for value in enum.values if zero or value.number != 0)


def _needed(field: FieldDescriptor, rules: Rules) -> str:
    if field.type == FD.TYPE_ENUM:
        return f"allowed: {enum_names(field, zero=False)}"
    if field.type == FD.TYPE_STRING:
        return f"allowed: {rules.pattern_help or _lengths(rules)}"
    if rules.HasField("minimum") or rules.HasField("maximum"):
        return f"allowed: {range_of(rules)}"
    return "it must be given"


def _lengths(rules: Rules) -> str:
    return f"{max(rules.min_length, 1 if rules.required else 0)} to {rules.max_length or STRING_DEFAULT} characters"


def _of_string(rules: Rules) -> Check:
    fewest, most, lengths = rules.min_length, rules.max_length or STRING_DEFAULT, _lengths(rules)
    # RE2's \d, \w and \s are ASCII.
    pattern = re.compile(rules.pattern, re.ASCII) if rules.pattern else None
    wanted = rules.pattern_help or f"text that matches {rules.pattern}"
    is_private = rules.private

    def said(value: str) -> str:
        return "what was given" if is_private else shown(value)

    def check(value: str) -> str | None:
        if not fewest <= len(value) <= most:
            return f"{said(value)} has {len(value)} characters; allowed: {lengths}"
        if pattern is not None and not pattern.fullmatch(value):
            return f"{said(value)} is not allowed; allowed: {wanted}"
        return None

    return check


def _of_bytes(rules: Rules) -> Check | None:
    fewest, most = rules.min_length, rules.max_length
    if not fewest and not most:
        return None

    def check(value: bytes) -> str | None:
        if len(value) < fewest or (most and len(value) > most):
            return f"has {len(value)} bytes; allowed: {fewest} to {most or 'any number of'} bytes"
        return None

    return check


def _of_enum(field: FieldDescriptor, rules: Rules) -> Check:
    enum: Any = field.enum_type
    declared = frozenset(enum.values_by_number)
    names = enum_names(field, zero=not rules.required)

    def check(value: int) -> str | None:
        return None if value in declared else f"{value} is not a value of {enum.name}; allowed: {names}"

    return check


def _of_number(rules: Rules) -> Check:
    low = rules.minimum if rules.HasField("minimum") else -math.inf
    high = rules.maximum if rules.HasField("maximum") else math.inf
    wanted = range_of(rules)

    # Not a float: compiled, it would say -1.0 of a whole number that is -1.
    def check(value: Any) -> str | None:
        # NaN fails the comparison too.
        return None if low <= value <= high else f"{value} is out of range; allowed: {wanted}"

    return check


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)
