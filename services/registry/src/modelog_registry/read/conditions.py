"""What may stand in a search: which conditions make sense, and what a condition says of one value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1 import search_pb2 as pb

Value = str | float | None
NUMBERS = frozenset({
    pb.COMPARISON_EQUAL,
    pb.COMPARISON_NOT_EQUAL,
    pb.COMPARISON_LESS,
    pb.COMPARISON_LESS_OR_EQUAL,
    pb.COMPARISON_GREATER,
    pb.COMPARISON_GREATER_OR_EQUAL,
})  # fmt: skip
NULLS = frozenset({pb.COMPARISON_IS_NULL, pb.COMPARISON_IS_NOT_NULL})


def check(
    conditions: Sequence[pb.Condition],
    orders: Sequence[pb.Order],
    attributes: Mapping[str, type],
    fields: Sequence[pb.Field.ValueType],
    *,
    measured_on_datasets: bool = False,
) -> None:
    """Raises Invalid, which names the condition, for what can never hold; `attributes` says which are numbers.

    `measured_on_datasets` says that metrics know what they were measured on.
    """
    for n, condition in enumerate(conditions):
        at = f"conditions[{n}]"
        _check_place(condition, at, attributes, fields)
        if condition.comparison in NULLS:
            continue
        name = pb.Comparison.Name(condition.comparison)
        if is_number(condition, attributes) and condition.comparison not in NUMBERS:
            raise Invalid.field(f"{at}.comparison", f"{name} does not fit a number; use =, !=, <, <=, > or >=")
        if condition.field == pb.FIELD_ATTRIBUTE and not math.isfinite(condition.number):
            raise Invalid.field(f"{at}.number", f"is {condition.number}; a time is a finite number of milliseconds")
        listed = condition.comparison in (pb.COMPARISON_IN, pb.COMPARISON_NOT_IN)
        if listed and not condition.texts:
            raise Invalid.field(f"{at}.texts", f"is empty; {name} needs at least one text")
    for n, order in enumerate(orders):
        _check_place(order, f"order_by[{n}]", attributes, [f for f in fields if f != pb.FIELD_DATASET])
        check_dataset(order, f"order_by[{n}]", allowed=measured_on_datasets and order.field == pb.FIELD_METRIC)


def check_dataset(order: pb.Order, at: str, *, allowed: bool) -> None:
    """Raises Invalid for an order by a dataset where nothing is measured on any."""
    if (order.dataset_name or order.dataset_digest) and not allowed:
        raise Invalid.field(
            f"{at}.dataset_name", "is given for what was measured on no dataset; give it with a logged model's metric"
        )


def _check_place(
    asked: pb.Condition | pb.Order, at: str, attributes: Mapping[str, type], fields: Sequence[pb.Field.ValueType]
) -> None:
    if asked.field not in fields:
        allowed = ", ".join(pb.Field.Name(f) for f in fields)
        raise Invalid.field(
            f"{at}.field", f"{pb.Field.Name(asked.field)} cannot be searched by here; allowed: {allowed}"
        )
    if asked.field == pb.FIELD_ATTRIBUTE and asked.key not in attributes:
        raise Invalid.field(f"{at}.key", f"there is no attribute {asked.key!r}; there are {', '.join(attributes)}")
    if asked.field == pb.FIELD_DATASET and asked.key not in ("name", "digest", "context"):
        raise Invalid.field(f"{at}.key", f"a dataset has no {asked.key!r}; it has name, digest and context")


def is_number(asked: pb.Condition | pb.Order, attributes: Mapping[str, type]) -> bool:
    """Whether what a condition or an order is about is a number."""
    return asked.field == pb.FIELD_METRIC or (asked.field == pb.FIELD_ATTRIBUTE and attributes.get(asked.key) is float)


def holds(condition: pb.Condition, value: Value) -> bool:
    """Whether a condition holds for a value."""
    match condition.comparison:
        case pb.COMPARISON_IS_NULL:
            return value is None
        case pb.COMPARISON_IS_NOT_NULL:
            return value is not None
    if value is None:
        return False
    if isinstance(value, str):
        return _TEXTS[condition.comparison](value, condition)
    return _compare(condition.comparison, value, condition.number)


def _compare(comparison: pb.Comparison.ValueType, value: Any, wanted: Any) -> bool:
    match comparison:
        case pb.COMPARISON_EQUAL:
            return bool(value == wanted)
        case pb.COMPARISON_NOT_EQUAL:
            return bool(value != wanted)
        case pb.COMPARISON_LESS:
            return bool(value < wanted)
        case pb.COMPARISON_LESS_OR_EQUAL:
            return bool(value <= wanted)
        case pb.COMPARISON_GREATER:
            return bool(value > wanted)
        case _:
            return bool(value >= wanted)


def _of_text(comparison: pb.Comparison.ValueType) -> Callable[[str, pb.Condition], bool]:
    return lambda value, condition: _compare(comparison, value, condition.text)


@lru_cache(maxsize=256)
def _pattern(like: str, flags: int) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c) or re.escape(c) for c in like), flags | re.DOTALL)


_TEXTS: dict[int, Callable[[str, pb.Condition], bool]] = {
    **{comparison: _of_text(comparison) for comparison in NUMBERS},
    pb.COMPARISON_LIKE: lambda value, c: bool(_pattern(c.text, 0).fullmatch(value)),
    pb.COMPARISON_ILIKE: lambda value, c: bool(_pattern(c.text, re.IGNORECASE).fullmatch(value)),
    pb.COMPARISON_IN: lambda value, c: value in c.texts,
    pb.COMPARISON_NOT_IN: lambda value, c: value not in c.texts,
}


def sorted_by(
    items: Sequence[Any], orders: Sequence[pb.Order], value_of: Callable[[Any, pb.Order], Value]
) -> list[Any]:
    """Items in the order that is asked for; what has no value comes last either way, and equals stay as they are."""
    found = list(items)
    for order in reversed(orders):
        with_value = [item for item in found if _sortable(value_of(item, order))]
        without = [item for item in found if not _sortable(value_of(item, order))]

        def key(item: Any, order: pb.Order = order) -> Any:
            return value_of(item, order)

        # A reversed sort keeps equals as they are, too.
        with_value.sort(key=key, reverse=order.descending)
        found = with_value + without
    return found


def _sortable(value: Value) -> bool:
    return value is not None and value == value
