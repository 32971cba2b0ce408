"""Holds messages to the rules of their contracts, `(modelog.common.v1.rules)`, before any handler sees them.

    validate(request)       # raises Invalid with a violation for each wrong field: "spec.datasets[0].version"

What to check is worked out once for each message type. Only fields that are set are looked at, plus the few that may
not be left out, so a small message costs microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from modelog_proto.common.v1 import options_pb2

from modelog_common.domain.errors import FieldViolation, Invalid
from modelog_common.rpc.rules import Check, missing, of_map_key, of_scalar
from modelog_common.rpc.wellknown import WELL_KNOWN

ITEMS_DEFAULT = 10_000
# A message with everything wrong would otherwise cost more to refuse than to obey.
MOST_VIOLATIONS = 20
Found = list[tuple[str, str]]
FieldCheck = Callable[[Any], Found]


def validate(message: Message) -> None:
    """Check a whole message; raises Invalid that names up to 20 wrong fields, what is wrong and what is allowed."""
    found = _plan(message.DESCRIPTOR).check(message)
    if found:
        violations = [FieldViolation(path, text) for path, text in found[:MOST_VIOLATIONS]]
        raise Invalid("; ".join(f"{v.field}: {v.description}" for v in violations), violations)


class Plan:
    """What to check of one message type. Checks return (path relative to the message, text) pairs."""

    def __init__(self, descriptor: Descriptor) -> None:
        special = WELL_KNOWN.get(descriptor.full_name)
        self._special = special
        self._set: dict[int, FieldCheck] = {}
        self._needed: list[tuple[str, Callable[[Message], bool], str]] = []
        if special is None:
            for field in descriptor.fields:
                self._add(field)

    def check(self, message: Any) -> Found:
        if self._special is not None:
            return self._special(message)
        found: Found = []
        for name, is_missing, text in self._needed:
            if is_missing(message):
                found.append((name, text))
        checks = self._set
        for field, value in message.ListFields():
            check = checks.get(field.number)
            if check is not None:
                found += check(value)
                if len(found) >= MOST_VIOLATIONS:
                    break
        return found

    def _add(self, field: FieldDescriptor) -> None:
        rules = field.GetOptions().Extensions[options_pb2.rules]
        text = missing(field, rules)
        if text:
            self._needed.append((field.name, _is_missing(field), text))
        if _is_map(field):
            self._set[field.number] = _of_map(field, rules)
        elif field.is_repeated:
            self._set[field.number] = _of_list(field, rules)
        else:
            check = _of_value(field, rules)
            if check is not None:
                self._set[field.number] = _named(field.name, check)


@cache
def _plan(descriptor: Descriptor) -> Plan:
    return Plan(descriptor)


def _of_value(field: FieldDescriptor, rules: options_pb2.Rules) -> FieldCheck | None:
    if field.message_type is not None:
        message_type = field.message_type
        # Looked up when the first value comes, so that a message may hold itself.
        return lambda value: _plan(message_type).check(value)
    check = of_scalar(field, rules)
    return None if check is None else _found_by(check)


def _found_by(check: Check) -> FieldCheck:
    def run(value: Any) -> Found:
        text = check(value)
        return [("", text)] if text else []

    return run


def _named(name: str, check: FieldCheck) -> FieldCheck:
    def run(value: Any) -> Found:
        found = check(value)
        return [(join(name, path), text) for path, text in found] if found else found

    return run


def _of_list(field: FieldDescriptor, rules: options_pb2.Rules) -> FieldCheck:
    name, most, fewest = field.name, rules.max_items or ITEMS_DEFAULT, rules.min_items
    check = _of_value(field, rules)
    # Of a thousand numbers or names nothing is made that says of each that it is in order.
    scalar = of_scalar(field, rules) if field.message_type is None else None

    def run(values: Any) -> Found:
        count = len(values)
        if count > most or count < fewest:
            return [(name, items_text(count, fewest, most))]
        found: Found = []
        if check is None or (scalar is not None and not any(map(scalar, values))):
            return found
        for number, value in enumerate(values):
            for path, text in check(value):
                found.append((join(f"{name}[{number}]", path), text))
            if len(found) >= MOST_VIOLATIONS:
                break
        return found

    return run


def _of_map(field: FieldDescriptor, rules: options_pb2.Rules) -> FieldCheck:
    name, most, fewest = field.name, rules.max_items or ITEMS_DEFAULT, rules.min_items
    entry: Any = field.message_type
    check = _of_value(entry.fields_by_name["value"], rules)
    check_key = of_map_key(entry.fields_by_name["key"])

    def run(values: Any) -> Found:
        count = len(values)
        if count > most or count < fewest:
            return [(name, items_text(count, fewest, most))]
        found: Found = []
        for key in values:
            text = check_key(key) if check_key is not None else None
            if text:
                found.append((f"{name}[{str(key)[:40]!r}]", text))
            elif check is not None:
                for path, text in check(values[key]):
                    found.append((join(f"{name}[{key!r}]", path), text))
            if len(found) >= MOST_VIOLATIONS:
                break
        return found

    return run


def join(parent: str, path: str) -> str:
    """A field's path inside its parent; an index or key is written right behind."""
    return f"{parent}.{path}" if path and not path.startswith("[") else parent + path


def items_text(count: int, fewest: int, most: int) -> str:
    """What is wrong with the number of items of a list or map."""
    return f"has {count} items; allowed: {fewest} to {most}"


def _is_map(field: FieldDescriptor) -> bool:
    return field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_missing(field: FieldDescriptor) -> Callable[[Message], bool]:
    name = field.name
    if field.is_repeated:
        return lambda message: not getattr(message, name)
    if field.has_presence and field.message_type is not None:
        return lambda message: not message.HasField(name)
    return lambda message: not getattr(message, name)
