"""A batch from its first part to its last: exactly one row out for each row in, however often it is broken off."""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

from modelog.batch.ledger import Batch, Ledger
from modelog.batch.places import Part, Place
from modelog.batch.rows import Scorer, check_columns, make_part
from modelog.batch.tables import Table

# Rows that are done, and of how many.
Progress = Callable[[int, int], object]
# Makes the parts with these numbers, in any order.
Make = Callable[[Sequence[int]], Iterable[Part]]


def run(batch: Batch, table: Table, place: Place, make: Make, progress: Progress) -> Ledger:
    """Make what is missing; the ledger that comes back says that all is there.

    Raises Invalid for an input or output that is not this batch's, or a row that cannot be answered.
    """
    ledger = Ledger.open(place, batch, table.title)
    progress(ledger.rows, batch.rows)
    missing = ledger.missing
    if missing:
        for part in make(missing):
            ledger.add(part)
            progress(ledger.rows, batch.rows)
    ledger.finish()
    return ledger


def one_by_one(batch: Batch, table: Table, place: Place, scorer: Scorer) -> Make:
    """In this process."""
    check_columns(table, scorer, batch.on_error)
    return lambda numbers: (make_part(table, place, scorer, batch, number) for number in numbers)
