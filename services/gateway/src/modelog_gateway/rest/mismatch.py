"""Finds which field of a JSON object does not fit its message and says what would; protobuf's words name no item."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from modelog_common.domain.errors import Invalid

F = FieldDescriptor
SHOWN = 60
_KINDS = {
    F.CPPTYPE_STRING: "text",
    F.CPPTYPE_BOOL: "true or false",
    F.CPPTYPE_INT32: "a whole number from -2147483648 to 2147483647",
    F.CPPTYPE_UINT32: "a whole number from 0 to 4294967295",
    F.CPPTYPE_INT64: "a whole number from -9223372036854775808 to 9223372036854775807",
    F.CPPTYPE_UINT64: "a whole number from 0 to 18446744073709551615",
    F.CPPTYPE_DOUBLE: 'a number, "NaN", "Infinity" or "-Infinity"',
    F.CPPTYPE_FLOAT: 'a number, "NaN", "Infinity" or "-Infinity"',
}
_WELL_KNOWN = {
    "google.protobuf.Timestamp": 'an RFC 3339 time such as "2026-11-24T09:00:00Z"',
    "google.protobuf.Struct": "an object, at most 100 deep",
}


def mismatch(message: Descriptor, fields: Mapping[str, Any], written: Mapping[str, str]) -> Invalid:
    """The error for fields that `json_format.ParseDict` refused.

    `written` gives the caller's own names of fields that stood in a query.
    """
    found = _wrong_in(message, fields)
    if found is None:
        return Invalid.field("body", "does not fit the request")
    path, text = found
    return Invalid.field(written.get(path, path), text)


def _wrong_in(message: Descriptor, fields: Mapping[str, Any]) -> tuple[str, str] | None:
    for name, value in fields.items():
        described = message.fields_by_name.get(name) or message.fields_by_camelcase_name.get(name)
        if described is None:
            return name or '""', "is not a field of this request"
        if not _fits(message, {name: value}):
            path, text = _wrong_value(message, described, value)
            return name + path, text
    return None


def _wrong_value(message: Descriptor, described: FieldDescriptor, value: Any) -> tuple[str, str]:
    """Where inside a field's value the trouble is, and what it is."""
    items: dict[str, tuple[Any, Any]] = {}  # place -> the item as the field's whole value, and the item
    inner = described
    if _is_map(described):
        inner = described.message_type.fields_by_name["value"]  # type: ignore[union-attr]
        if isinstance(value, dict):
            items = {f"[{json.dumps(key)}]": ({key: item}, item) for key, item in value.items()}
    elif described.is_repeated:
        if isinstance(value, list):
            items = {f"[{n}]": ([item], item) for n, item in enumerate(value)}
    else:
        return _wrong_one(described, value)
    for place, (alone, item) in items.items():
        if not _fits(message, {described.name: alone}):
            path, text = _wrong_one(inner, item)
            return place + path, text
    many = "an object" if _is_map(described) else "a list"
    return "", f"{_shown(value)} is not allowed; it must be {many}, and each value in it {_kind(inner)}"


def _wrong_one(described: FieldDescriptor, value: Any) -> tuple[str, str]:
    inside = described.message_type
    if inside is not None and inside.full_name not in _WELL_KNOWN and isinstance(value, dict):
        found = _wrong_in(inside, value)
        if found is not None:
            return f".{found[0]}", found[1]
    return "", f"{_shown(value)} is not allowed; it must be {_kind(described)}"


def _fits(message: Descriptor, fields: dict[str, Any]) -> bool:
    try:
        json_format.ParseDict(fields, GetMessageClass(message)())
    except (json_format.ParseError, UnicodeEncodeError):
        return False
    return True


def _kind(described: FieldDescriptor) -> str:
    """What a single value of the field may be, in words."""
    if described.message_type is not None:
        return _WELL_KNOWN.get(described.message_type.full_name, "an object")
    if described.enum_type is not None:
        return "one of " + ", ".join(value.name for value in described.enum_type.values)
    if described.type == F.TYPE_BYTES:
        return "base64 text"
    return _KINDS[described.cpp_type]


def _is_map(described: FieldDescriptor) -> bool:
    return described.message_type is not None and bool(described.message_type.GetOptions().map_entry)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
