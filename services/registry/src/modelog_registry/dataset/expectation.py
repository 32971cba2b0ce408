"""What must hold of a dataset before it is trained on, and what makes such a wish senseless."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from modelog_common.domain.errors import Invalid


class Column(msgspec.Struct, frozen=True):
    """A column and its logical type as Apache Arrow names it."""

    name: str
    type: str


class Expectation(msgspec.Struct, frozen=True):
    """One check: not_null, unique, between, in_set, max_null_share of a column, or row_count of the whole."""

    column: str
    kind: str
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()


def check_columns(columns: Sequence[Column]) -> None:
    """Raises Invalid, naming the column that stands there twice."""
    seen: set[str] = set()
    for n, column in enumerate(columns):
        if column.name in seen:
            raise Invalid.field(f"schema[{n}].name", f"{column.name!r} stands there twice; names must differ")
        seen.add(column.name)


def check_expectations(expectations: Sequence[Expectation], columns: Sequence[Column]) -> None:
    """Raises Invalid, naming the part that contradicts itself or the schema."""
    names = {column.name for column in columns}
    for n, expectation in enumerate(expectations):
        field = f"expectations[{n}]"
        _check_column(expectation, names, field)
        _check_bounds(expectation, field)
        if expectation.kind == "in_set" and not expectation.values:
            raise Invalid.field(f"{field}.values", "is empty; in_set needs the values that are allowed")


def _check_column(expectation: Expectation, names: set[str], field: str) -> None:
    if expectation.kind == "row_count":
        if expectation.column:
            raise Invalid.field(f"{field}.column", "row_count is about the whole dataset; leave the column empty")
    elif expectation.column not in names:
        raise Invalid.field(f"{field}.column", f"{expectation.column!r} is not a column of the schema")


def _check_bounds(expectation: Expectation, field: str) -> None:
    low, high = expectation.minimum, expectation.maximum
    for name, bound in (("minimum", low), ("maximum", high)):
        if bound is not None and not math.isfinite(bound):
            raise Invalid.field(f"{field}.{name}", f"is {bound}; it must be a finite number")
    if expectation.kind in ("between", "row_count") and low is None and high is None:
        raise Invalid.field(f"{field}.minimum", f"is missing, as is maximum; {expectation.kind} needs one of them")
    if low is not None and high is not None and low > high:
        raise Invalid.field(f"{field}.minimum", f"{low:g} is above the maximum {high:g}")
    if expectation.kind == "max_null_share" and (high is None or not 0 <= high <= 1):
        raise Invalid.field(f"{field}.maximum", "max_null_share needs a share from 0 to 1")
