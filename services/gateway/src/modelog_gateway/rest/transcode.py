"""JSON to protobuf and back, with errors that name the field as the caller wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from modelog_common.domain.errors import Invalid

from modelog_gateway.rest.contracts import Route
from modelog_gateway.rest.mismatch import mismatch

# Query parameters of every list and get, short for the nested fields.
SHORT = {"as_of": "read.as_of", "at_least": "read.at_least", "page_size": "page.size", "page_token": "page.token"}
WRITTEN = {dotted: short for short, dotted in SHORT.items()}


def request_message(route: Route, path: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes) -> Message:
    """The request message of a call; raises Invalid, which names the field, for anything that does not fit."""
    fields = _body_fields(body) if route.has_body else {}
    for name, text in query:
        if route.has_body:
            raise Invalid.field(name, "is not a parameter here; everything but the path stands in the body")
        # A method may have a field of its own that is called like a short name.
        own = name in route.method.input_type.fields_by_name
        _put(fields, route.method.input_type, name if own else SHORT.get(name, name), name, text)
    for name, text in path.items():
        if str(fields.get(name, text)) != text:
            raise Invalid.field(
                name, f"is {fields[name]!r} in the body and {text!r} in the path; they must be the same"
            )
        fields.pop(name, None)
        _put(fields, route.method.input_type, name, name, text)
    message = GetMessageClass(route.method.input_type)()
    try:
        json_format.ParseDict(fields, message)
    except (json_format.ParseError, UnicodeEncodeError):
        raise mismatch(route.method.input_type, fields, WRITTEN) from None
    return message


def to_json(message: Message) -> str:
    """The message as JSON with the proto's field names; empty fields are there too. int64 are texts (proto3 JSON)."""
    return json.dumps(
        json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True),
        ensure_ascii=False,
    )


def _body_fields(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid.field("body", f"is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Invalid.field("body", f"is a JSON {type(fields).__name__}; it must be an object")
    return fields


def _put(fields: dict[str, Any], message: Descriptor, dotted: str, written: str, text: str) -> None:
    """Set the field `dotted` to what stands in a path or query."""
    *parents, last = dotted.split(".")
    for parent in parents:
        described = message.fields_by_name.get(parent)
        if described is None or described.message_type is None:
            raise _unknown(written, message)
        message = described.message_type
        fields = fields.setdefault(parent, {})
    described = message.fields_by_name.get(last)
    if described is None or described.message_type is not None:
        raise _unknown(written, message)
    if described.is_repeated:
        fields.setdefault(last, []).append(_value(described, written, text))
    elif last in fields:
        raise Invalid.field(written, "is given more than once")
    else:
        fields[last] = _value(described, written, text)


def _value(described: FieldDescriptor, written: str, text: str) -> Any:
    if described.type == FieldDescriptor.TYPE_BOOL:
        if text not in ("true", "false"):
            raise Invalid.field(written, f"{text!r} is not a boolean; it must be true or false")
        return text == "true"
    return text


def _unknown(written: str, message: Descriptor) -> Invalid:
    known = [f.name for f in message.fields if f.message_type is None]
    known += [short for short, dotted in SHORT.items() if dotted.split(".")[0] in message.fields_by_name]
    return Invalid.field(written, f"is not a parameter here; there are {', '.join(sorted(known)) or 'none'}")
