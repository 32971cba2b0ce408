"""Conditions of a search in SQL."""

from __future__ import annotations

import math
from typing import Any

from modelog_common.read.patterns import like
from modelog_proto.registry.v1 import search_pb2 as pb
from sqlalchemy import ColumnElement, String, and_, cast, collate, false, func, type_coerce

from modelog_registry.read.runs.values import LONGEST, WORD, number_of, searchable

Column = ColumnElement[Any]


def number_condition(column: Column, condition: pb.Condition) -> ColumnElement[bool]:
    """A number that is none stands as NULL: only equality says something about it."""
    wanted = number_of(condition.number)
    if wanted is None:
        equal = {pb.COMPARISON_EQUAL: column.is_(None), pb.COMPARISON_NOT_EQUAL: column.is_not(None)}
        return equal.get(condition.comparison, false())
    return _compared(column, condition.comparison, wanted)


def time_condition(column: Column, condition: pb.Condition) -> ColumnElement[bool]:
    """Milliseconds are asked for, the column has microseconds: a moment is its whole millisecond."""
    first = math.floor(condition.number) * 1000
    return span_conditions(column, first, first + 1000)[condition.comparison]


def span_conditions(column: Column, first: float, after: float) -> dict[int, ColumnElement[bool]]:
    """By comparison: that a column of finer numbers compares so to all that is from `first` and before `after`."""
    return {
        pb.COMPARISON_EQUAL: and_(column >= first, column < after),
        pb.COMPARISON_NOT_EQUAL: (column < first) | (column >= after),
        pb.COMPARISON_LESS: column < first,
        pb.COMPARISON_LESS_OR_EQUAL: column < after,
        pb.COMPARISON_GREATER: column >= after,
        pb.COMPARISON_GREATER_OR_EQUAL: column >= first,
    }


def text_condition(
    column: Column, condition: pb.Condition, dialect: str, *, beginning: Column | None = None
) -> ColumnElement[bool]:
    """`beginning` is a column with an index that holds the first characters of the text."""
    wanted, texts = searchable(condition.text), [searchable(text) for text in condition.texts]
    match condition.comparison:
        case pb.COMPARISON_EQUAL:
            same = column == wanted
            return same if beginning is None else and_(beginning == wanted[:WORD], same)
        case pb.COMPARISON_IN:
            same = column.in_(texts)
            return same if beginning is None else and_(beginning.in_([t[:WORD] for t in texts]), same)
        case pb.COMPARISON_NOT_IN:
            return column.not_in(texts)
        case pb.COMPARISON_LIKE | pb.COMPARISON_ILIKE:
            return _like(column, wanted, dialect, ignore_case=condition.comparison == pb.COMPARISON_ILIKE)
        case comparison:
            return _compared(column, comparison, wanted)


def nothing_is(column: Column, condition: pb.Condition) -> ColumnElement[bool]:
    """IS NULL and IS NOT NULL."""
    return column.is_(None) if condition.comparison == pb.COMPARISON_IS_NULL else column.is_not(None)


def _compared(column: Column, comparison: pb.Comparison.ValueType, wanted: Any) -> ColumnElement[bool]:
    compared: dict[int, ColumnElement[bool]] = {
        pb.COMPARISON_EQUAL: column == wanted,
        pb.COMPARISON_NOT_EQUAL: column != wanted,
        pb.COMPARISON_LESS: column < wanted,
        pb.COMPARISON_LESS_OR_EQUAL: column <= wanted,
        pb.COMPARISON_GREATER: column > wanted,
        pb.COMPARISON_GREATER_OR_EQUAL: column >= wanted,
    }
    return compared[comparison]


def _like(column: Column, pattern: str, dialect: str, *, ignore_case: bool) -> ColumnElement[bool]:
    """% stands for any text, _ for any character, and nothing else is special.

    SQLite's LIKE takes A for a, and no other letters; its GLOB does not.
    """
    text = type_coerce(column, String())
    if dialect == "sqlite":
        return text.like(pattern) if ignore_case else like(text, pattern, dialect)
    read: Column
    escaped = pattern.replace("\\", "\\\\")
    if dialect == "postgresql":
        read = func.convert_from(column, "UTF8", type_=String())
        return read.ilike(escaped) if ignore_case else read.like(escaped)
    read = collate(cast(column, String(LONGEST)), "utf8mb4_general_ci" if ignore_case else "utf8mb4_bin")
    return read.like(escaped)
