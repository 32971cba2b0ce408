"""From what a client sends - path, query, JSON - to the struct of a method; refusals name the field.

Fields that a struct does not have are passed over: newer clients send more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_origin

import msgspec
from modelog_common.domain.errors import Invalid

Parse = Callable[[Mapping[str, str], Iterable[tuple[str, str]], bytes], Any]


def parser_of(kind: type[msgspec.Struct]) -> Parse:
    """What makes a struct of one kind of a request.

    Numbers and truth values may stand in quotes, as proto3's JSON has them, and so do NaN, Infinity and -Infinity.
    """
    decode = msgspec.json.Decoder(kind, strict=False).decode
    lists = {field.encode_name for field in msgspec.structs.fields(kind) if get_origin(field.type) is list}

    def parse(path: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes) -> Any:
        try:
            if body and not path:
                return decode(body)
            fields = _object(body) if body else _of_query(query, lists)
            return msgspec.convert(fields | dict(path), kind, strict=False)
        except msgspec.ValidationError as error:
            raise _mismatch(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid.field("body", f"is not JSON: {error}") from None

    return parse


def _object(body: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    return fields


def _of_query(query: Iterable[tuple[str, str]], lists: set[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, text in query:
        if name in lists:
            fields.setdefault(name, []).append(text)
        else:
            fields[name] = text
    return fields


def _mismatch(text: str) -> Invalid:
    """msgspec's "Expected `float`, got `str` - at `$.metrics[3].value`", by the field's name."""
    trouble, _, place = text.partition(" - at `")
    where = place.rstrip("`").removeprefix("$").lstrip(".")
    missing = "Object missing required field `"
    if trouble.startswith(missing):
        name = trouble.removeprefix(missing).rstrip("`")
        field = f"{where}.{name}" if where else name
        return Invalid.field(field, f"Missing value for required parameter '{name}'")
    return Invalid.field(where or "body", trouble[:1].lower() + trouble[1:])
