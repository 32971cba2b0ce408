"""Searches of models and versions: from the conditions of the contract to those of the read tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelog_common.domain.errors import Invalid
from modelog_common.read.patterns import like
from modelog_common.read.tables import TemporalTable
from modelog_proto.registry.v1 import search_pb2 as pb
from sqlalchemy import ColumnElement, and_, exists

from modelog_registry.read.conditions import check_dataset
from modelog_registry.read.models.model_tables import ALIASES, MODEL_TAGS, MODELS, VERSION_TAGS, VERSIONS
from modelog_registry.read.sql_conditions import span_conditions

Clause = ColumnElement[bool]
# For a tenant and a position (None: now), what a row must be.
Condition = Callable[[str, int | None], Clause]
US_OF_MS = 1000


@dataclass(frozen=True)
class Text:
    """A column of texts; `folded` holds them as they compare when capital letters do not count.

    When it stands in another table, `table` is that, and `joined` says which of its rows belong to the one searched.
    """

    column: ColumnElement[str]
    folded: ColumnElement[str] | None = None
    table: TemporalTable | None = None
    joined: Clause | None = None


@dataclass(frozen=True)
class Number:
    """A column of whole numbers, `scale` of which are one of the contract's."""

    column: ColumnElement[int]
    scale: int = 1


@dataclass(frozen=True)
class Searched:
    """What there is to search by: attributes, and the table of tags with the column that owns them."""

    attributes: Mapping[str, Text | Number]
    orders: Mapping[str, ColumnElement[Any]]
    tags: TemporalTable
    owner: ColumnElement[str]
    usual_order: Sequence[ColumnElement[Any]]


_M, _V, _A = MODELS.table.c, VERSIONS.table.c, ALIASES.table.c
SEARCHED_MODELS = Searched(
    {
        "name": Text(_M.name, _M.folded),
        "type": Text(_M.type),
        "author": Text(_M.author),
        "stage": Text(_V.stage, table=VERSIONS, joined=_V.model == _M.name),
        "flavor": Text(_V.flavor, table=VERSIONS, joined=_V.model == _M.name),
        "alias": Text(_A.alias, table=ALIASES, joined=_A.model == _M.name),
        "creation_time": Number(_M.created_us, US_OF_MS),
        "last_update_time": Number(_M.updated_us, US_OF_MS),
    },
    {"name": _M.name, "creation_time": _M.created_us, "last_update_time": _M.updated_us},
    MODEL_TAGS,
    _M.name,
    [_M.name],
)
SEARCHED_VERSIONS = Searched(
    {
        "model": Text(_V.model, _V.folded),
        "version": Text(_V.version),
        "stage": Text(_V.stage),
        "author": Text(_V.author),
        "run_id": Text(_V.run_id),
        "flavor": Text(_V.flavor),
        "source": Text(_V.source),
        "type": Text(_M.type, table=MODELS, joined=_M.name == _V.model),
        "alias": Text(_A.alias, table=ALIASES, joined=and_(_A.model == _V.model, _A.version == _V.version)),
        "number": Number(_V.ordinal),
        "creation_time": Number(_V.created_us, US_OF_MS),
        "last_update_time": Number(_V.updated_us, US_OF_MS),
    },
    {"model": _V.model, "number": _V.ordinal, "creation_time": _V.created_us, "last_update_time": _V.updated_us},
    VERSION_TAGS,
    _V.tagged,
    [_V.created_us.desc(), _V.ordinal.desc()],
)


def conditions_of(
    searched: Searched, asked: Sequence[pb.Condition], dialect: str
) -> Callable[[str, int | None], Sequence[Clause]]:
    """What rows must be, all of it; raises Invalid, naming the condition that cannot be."""
    conditions = [_condition(searched, one, f"conditions[{n}]", dialect) for n, one in enumerate(asked)]
    return lambda tenant, at: [condition(tenant, at) for condition in conditions]


def order_of(searched: Searched, asked: Sequence[pb.Order]) -> Sequence[ColumnElement[Any]]:
    """What comes first; raises Invalid, naming the one that cannot be."""
    order = []
    for n, one in enumerate(asked):
        if one.field != pb.FIELD_ATTRIBUTE or one.key not in searched.orders:
            allowed = ", ".join(searched.orders)
            raise Invalid.field(f"order_by[{n}].key", f"cannot order by {one.key!r}; allowed: the attributes {allowed}")
        check_dataset(one, f"order_by[{n}]", allowed=False)
        column = searched.orders[one.key]
        order.append(column.desc() if one.descending else column)
    return order or searched.usual_order


def _condition(searched: Searched, asked: pb.Condition, field: str, dialect: str) -> Condition:
    if asked.field == pb.FIELD_TAG:
        t = searched.tags.table.c
        of = Text(t.value, t.folded, searched.tags, and_(t.tagged == searched.owner, t.tag == asked.key))
        return _elsewhere(of, asked, field, dialect)
    attribute = searched.attributes.get(asked.key) if asked.field == pb.FIELD_ATTRIBUTE else None
    match attribute:
        case None:
            allowed = ", ".join(searched.attributes)
            raise Invalid.field(f"{field}.key", f"{asked.key!r} is not known; allowed: a tag, or one of {allowed}")
        case Number():
            clause = _number(attribute, asked, field)
        case Text() if attribute.table is not None:
            return _elsewhere(attribute, asked, field, dialect)
        case _:
            clause = _text(attribute, asked, field, dialect)
    return lambda tenant, at: clause


def _elsewhere(of: Text, asked: pb.Condition, field: str, dialect: str) -> Condition:
    """Whether there is such a row in the other table, as of the same position."""
    table, joined = of.table, of.joined
    if table is None or joined is None:
        raise TypeError(f"{of} stands in no other table")
    absent = asked.comparison == pb.COMPARISON_IS_NULL
    compared = [] if asked.comparison in _PRESENCE else [_text(of, asked, field, dialect)]

    def condition(tenant: str, at: int | None) -> Clause:
        found = exists().where(table.table.c.tenant == tenant, table.at(at), joined, *compared)
        return ~found if absent else found

    return condition


_PRESENCE = (pb.COMPARISON_IS_NULL, pb.COMPARISON_IS_NOT_NULL)


def _text(of: Text, asked: pb.Condition, field: str, dialect: str) -> Clause:
    column, text, texts = of.column, asked.text, list(asked.texts)
    match asked.comparison:
        case pb.COMPARISON_EQUAL:
            return column == text
        case pb.COMPARISON_NOT_EQUAL:
            return column != text
        case pb.COMPARISON_LIKE:
            return like(column, text, dialect)
        case pb.COMPARISON_ILIKE if of.folded is not None:
            return like(of.folded, text.casefold(), dialect)
        case pb.COMPARISON_IN:
            return column.in_(texts)
        case pb.COMPARISON_NOT_IN:
            return column.not_in(texts)
        case pb.COMPARISON_IS_NULL:
            return column == ""
        case pb.COMPARISON_IS_NOT_NULL:
            return column != ""
        case _:
            name = pb.Comparison.Name(asked.comparison).removeprefix("COMPARISON_")
            ilike = ", ILIKE" if of.folded is not None else ""
            raise Invalid.field(
                f"{field}.comparison",
                f"{name} does not go with {asked.key!r}; allowed: EQUAL, NOT_EQUAL, LIKE{ilike}, IN, NOT_IN, IS_NULL, "
                "IS_NOT_NULL",
            )


def _number(of: Number, asked: pb.Condition, field: str) -> Clause:
    if not math.isfinite(asked.number):
        raise Invalid.field(f"{field}.number", f"is {asked.number}; it must be a finite number")
    first = asked.number * of.scale
    # A time is told in milliseconds, and stored more finely.
    clause = span_conditions(of.column, first, first + of.scale).get(asked.comparison)
    if clause is None:
        name = pb.Comparison.Name(asked.comparison).removeprefix("COMPARISON_")
        raise Invalid.field(
            f"{field}.comparison",
            f"{name} does not go with {asked.key!r}; allowed: EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, GREATER, "
            "GREATER_OR_EQUAL",
        )
    return clause
