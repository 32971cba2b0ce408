"""Reads YAML that anybody may have written: it costs no more than its limits, whatever stands in it."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

MOST_BYTES = 1024 * 1024
MOST_PARTS = 100_000
DEEPEST = 50
# Longer ones are text: YAML's numbers to the base of sixty take for ever to be read.
LONGEST_NUMBER = 40
# So are larger ones, which JSON does not keep as they are.
LARGEST_NUMBER = 2**53
_NESTING = {
    yaml.MappingStartEvent: 1,
    yaml.SequenceStartEvent: 1,
    yaml.MappingEndEvent: -1,
    yaml.SequenceEndEvent: -1,
}
_CONTROL = re.compile(r"[\x00\ud800-\udfff]")


class NotRead(Exception):
    """The text says why."""


class _Loader(yaml.CSafeLoader):
    """Plain values only: no object of Python is made, and no mapping is merged into another."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Left undone: merges that lead to merges double with each."""

    def number(self, node: yaml.ScalarNode) -> Any:
        if len(node.value) > LONGEST_NUMBER:
            return node.value
        return self.construct_yaml_float(node) if node.tag.endswith("float") else self.construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.number)


def mapping_in(content: bytes) -> dict[str, Any]:
    """The mapping that a document is, as JSON has it: dates and the like become text. Raises NotRead."""
    if len(content) > MOST_BYTES:
        raise NotRead(f"has {len(content)} bytes; at most {MOST_BYTES} are read")
    try:
        _check_size(content)
        told = yaml.load(content, Loader=_Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise NotRead(f"is not YAML of plain values: {str(error).splitlines()[0]}") from None
    if not isinstance(told, dict):
        raise NotRead("holds no mapping")
    return _Plain().mapping(told, 0)


def _check_size(content: bytes) -> None:
    """By the parser's events, which it gives one after the other: what is too much is never put together."""
    depth = 0
    for count, event in enumerate(yaml.parse(content, Loader=yaml.CSafeLoader)):
        depth += _NESTING.get(type(event), 0)
        if depth > DEEPEST:
            raise NotRead(f"is nested more than {DEEPEST} deep")
        if count > MOST_PARTS:
            raise NotRead(f"has more than {MOST_PARTS} parts")


class _Plain:
    """Counts what it makes, for a few references to each other can stand for more than fits in memory."""

    def __init__(self) -> None:
        self._left = MOST_PARTS

    def mapping(self, told: dict[Any, Any], depth: int) -> dict[str, Any]:
        return {_text(key): self._value(inner, depth + 1) for key, inner in told.items()}

    def _value(self, told: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise NotRead(f"stands for more than {MOST_PARTS} parts, or refers to itself")
        match told:
            case dict():
                return self.mapping(told, depth)
            case list() | tuple() | set():
                return [self._value(inner, depth + 1) for inner in told]
            case None | bool():
                return told
            case int() | float() if math.isfinite(told) and abs(told) <= LARGEST_NUMBER:
                return told
            case _:
                return _text(told)


def _text(told: Any) -> str:
    """Without what no store holds."""
    return _CONTROL.sub("\ufffd", str(told))
