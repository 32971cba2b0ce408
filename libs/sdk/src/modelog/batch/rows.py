"""One part of a batch: rows to numbers, numbers to answers, and answers beside the rows."""

from __future__ import annotations

import hashlib
import io
from typing import Any, Dict, List, Protocol, Sequence, Tuple

from modelog.batch.ledger import Batch
from modelog.batch.libraries import library
from modelog.batch.places import Part, Place, part_name
from modelog.batch.tables import Table
from modelog.errors import Invalid

FAIL, NULL = "fail", "null"
PREDICTION, VERSION, ERROR = "prediction", "model_version", "error"


class Scorer(Protocol):
    """What answers: `features` are the columns that it takes, `width` how many numbers a row is answered with."""

    @property
    def features(self) -> Sequence[str]: ...

    @property
    def width(self) -> int: ...

    def score(self, rows: Any) -> Sequence[Any]:
        """For a data frame of the features, Float64 with nulls for missing values: each output's numbers.

        Raises Invalid for rows that the model cannot take.
        """
        ...


def check_columns(table: Table, scorer: Scorer, on_error: str) -> None:
    """Raises Invalid when the input lacks a column, or has one with the name of those that are added."""
    if on_error not in (FAIL, NULL):
        raise Invalid(f"on_error: is {on_error!r}; allowed: {FAIL}, {NULL}")
    for name in scorer.features:
        if name not in table.columns:
            raise Invalid(
                f"input: {table.title} has no column {name!r}; the model takes {', '.join(scorer.features)}, "
                f"there are {', '.join(table.columns)}"
            )
    for name in [*output_names(scorer.width), VERSION, *([ERROR] if on_error == NULL else [])]:
        if name in table.columns:
            raise Invalid(f"input: {table.title} has a column {name!r}, which the output adds; rename it, in a query")


def output_names(width: int) -> List[str]:
    return [PREDICTION] if width == 1 else [f"{PREDICTION}_{n}" for n in range(width)]


def make_part(table: Table, place: Place, scorer: Scorer, batch: Batch, number: int) -> Part:
    """Read the rows of a part, answer them, and put the file there."""
    first = number * batch.rows_at_once
    frame, errors = answered(table.slice(first, batch.rows_at_once), first, scorer, batch)
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd", statistics=True)
    place.write(part_name(number), content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    return Part(number, frame.height, digest, len(content.getvalue()), errors)


def answered(frame: Any, first: int, scorer: Scorer, batch: Batch) -> Tuple[Any, int]:
    """The rows with what was answered, and how many have no answer. `first` is the number of the first row."""
    polars = library("polars")
    numbers, wrong = numbers_of(frame, scorer.features)
    if wrong and batch.on_error == FAIL:
        row = min(wrong)
        raise Invalid(f"row {first + row}, {wrong[row]}")
    numbers = numbers.with_row_index("")
    left = numbers.filter(~polars.col("").is_in(sorted(wrong))) if wrong else numbers
    columns: List[List[Any]] = [[None] * frame.height for _ in range(scorer.width)]
    found: List[Any] = list(columns)
    for piece, outputs in _asked(left, first, scorer, batch.on_error, wrong):
        if piece.height == frame.height:
            found = list(outputs)
            continue
        for column, output in zip(columns, outputs):
            for row, value in zip(piece[""], output):
                column[row] = float(value)
    added = [
        polars.Series(name, values, dtype=polars.Float64) for name, values in zip(output_names(scorer.width), found)
    ]
    added.append(polars.Series(VERSION, [batch.version], dtype=polars.String).new_from_index(0, frame.height))
    if batch.on_error == NULL:
        added.append(polars.Series(ERROR, [wrong.get(n) for n in range(frame.height)], dtype=polars.String))
    return frame.with_columns(added), len(wrong)


def numbers_of(frame: Any, features: Sequence[str]) -> Tuple[Any, Dict[int, str]]:
    """The features as Float64, and what is wrong with which row, counted from 0; an empty cell is a missing value.

    Raises Invalid for a column that holds no numbers at all.
    """
    polars = library("polars")
    columns: List[Any] = []
    wrong: Dict[int, str] = {}
    for name in features:
        column = frame[name]
        dtype = column.dtype
        if dtype == polars.String:
            text = column.str.strip_chars()
            made = text.cast(polars.Float64, strict=False)
            for row in (made.is_null() & text.is_not_null() & (text != "")).arg_true():
                wrong.setdefault(row, f"column {name!r}: {column[row]!r} is no number")
        elif dtype.is_numeric() or dtype in (polars.Boolean, polars.Null):
            made = column.cast(polars.Float64)
        else:
            raise Invalid(f"input: the column {name!r} holds {dtype}; the model takes numbers")
        columns.append(made.fill_nan(None).alias(name))
    return polars.DataFrame(columns), wrong


def _asked(
    rows: Any, first: int, scorer: Scorer, on_error: str, wrong: Dict[int, str]
) -> List[Tuple[Any, Sequence[Any]]]:
    """What is answered. Of rows that are refused together those are looked for that cannot be answered alone."""
    if not rows.height:
        return []
    try:
        return [(rows, scorer.score(rows.drop("")))]
    except Invalid as error:
        at, to = first + rows[""][0], first + rows[""][-1]
        if on_error == FAIL:
            raise Invalid(f"row {at}: {error}" if at == to else f"rows {at} to {to}: {error}") from None
        if rows.height == 1:
            wrong[rows[""][0]] = str(error)
            return []
        half = rows.height // 2
        return _asked(rows[:half], first, scorer, on_error, wrong) + _asked(rows[half:], first, scorer, on_error, wrong)
