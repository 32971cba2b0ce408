"""From conditions of MLflow's filter language to those of our contract."""

from __future__ import annotations

from collections.abc import Iterable

from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1 import search_pb2 as pb

from modelog_gateway.mlflow.filters.conditions import (
    Condition,
    Kind,
    Order,
    Value,
    Vocabulary,
    parse_filter,
    parse_order,
)
from modelog_gateway.mlflow.values import known_id

FIELDS = {
    Kind.ATTRIBUTE: pb.FIELD_ATTRIBUTE,
    Kind.METRIC: pb.FIELD_METRIC,
    Kind.PARAMETER: pb.FIELD_PARAMETER,
    Kind.TAG: pb.FIELD_TAG,
    Kind.DATASET: pb.FIELD_DATASET,
}
COMPARISONS = {
    "=": pb.COMPARISON_EQUAL,
    "!=": pb.COMPARISON_NOT_EQUAL,
    "<": pb.COMPARISON_LESS,
    "<=": pb.COMPARISON_LESS_OR_EQUAL,
    ">": pb.COMPARISON_GREATER,
    ">=": pb.COMPARISON_GREATER_OR_EQUAL,
    "LIKE": pb.COMPARISON_LIKE,
    "ILIKE": pb.COMPARISON_ILIKE,
    "IN": pb.COMPARISON_IN,
    "NOT IN": pb.COMPARISON_NOT_IN,
    "IS NULL": pb.COMPARISON_IS_NULL,
    "IS NOT NULL": pb.COMPARISON_IS_NOT_NULL,
}
# MLflow's names of attributes where ours are others.
ATTRIBUTES = {
    "user_id": "user",
    "creation_timestamp": "creation_time",
    "last_updated_timestamp": "last_update_time",
}
RUN_NAME_TAG = "mlflow.runName"
OUR_STATUS = {"FINISHED": "COMPLETED", "KILLED": "CANCELLED"}
# By name, or by the number in MLflow's enumeration, which is ours too.
VIEWS = {"ACTIVE_ONLY": pb.VIEW_ACTIVE, "DELETED_ONLY": pb.VIEW_DELETED, "ALL": pb.VIEW_ALL}


def conditions_of(text: str, vocabulary: Vocabulary) -> list[pb.Condition]:
    """Raises Invalid, which names the place in the text."""
    return [_condition(condition) for condition in parse_filter(text, vocabulary)]


def orders_of(texts: Iterable[str], vocabulary: Vocabulary) -> list[pb.Order]:
    """Raises Invalid, which names the place in the text."""
    return [order(parse_order(text, vocabulary)) for text in texts]


def view_of(given: str | int, field: str) -> pb.View.ValueType:
    """Raises Invalid for what is no view."""
    for name, view in VIEWS.items():
        if given in (name, view):
            return view
    raise Invalid.field(field, f"is {given!r}; it must be one of {', '.join(VIEWS)}")


def order(given: Order) -> pb.Order:
    kind, key = _place(given.kind, given.key)
    return pb.Order(field=FIELDS[kind], key=key, descending=given.descending)


def _condition(given: Condition) -> pb.Condition:
    kind, key = _place(given.kind, given.key)
    found = pb.Condition(field=FIELDS[kind], key=key, comparison=COMPARISONS[given.operator])
    match _value(kind, key, given.value):
        case str(text):
            found.text = text
        case tuple(texts):
            found.texts.extend(texts)
        case int() | float() as number:
            found.number = number
        case None:
            pass
    return found


def _place(kind: Kind, key: str) -> tuple[Kind, str]:
    if kind is Kind.TAG and key == RUN_NAME_TAG:
        return Kind.ATTRIBUTE, "run_name"
    return (kind, ATTRIBUTES.get(key, key)) if kind is Kind.ATTRIBUTE else (kind, key)


def _value(kind: Kind, key: str, value: Value) -> Value:
    """The value as we store it: ids of experiments and some statuses have other names here."""
    if kind is not Kind.ATTRIBUTE:
        return value
    match key, value:
        case "status", str(text):
            return OUR_STATUS.get(text, text)
        case "experiment_id", str(text):
            return known_id(text)
        case "experiment_id", tuple(texts):
            return tuple(known_id(text) for text in texts)
        case _:
            return value
