"""Parts of a batch side by side, on Ray Data: each of its actors loads the model once and makes part after part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import modelog
import msgspec
from modelog.batch.ledger import Batch
from modelog.batch.places import Part, Place, place_of
from modelog.batch.rows import make_part
from modelog.batch.run import Make
from modelog.batch.tables import Table

from modelog_training.batch.scorer import Stored

NUMBER, MADE, REFUSED = "number", "made", "refused"


def can_spread(cpus: float, parts: int) -> bool:
    """Whether there is more than one of both, and this is a worker of Ray's with what Ray Data needs."""
    if min(int(cpus), parts) < 2 or any(find_spec(name) is None for name in ("ray", "pyarrow")):
        return False
    import ray

    return bool(ray.is_initialized())


class PartMaker:
    """An actor. It is told numbers of parts and answers with the parts, or why there is none."""

    def __init__(self, loadable: Stored, table: Table, address: str, batch: Batch) -> None:
        self._scorer, self._place = loadable.open(), place_of(address)
        self._table, self._batch = table, batch

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        made, refused = [], []
        for number in rows[NUMBER]:
            try:
                part = make_part(self._table, self._place, self._scorer, self._batch, int(number))
            except modelog.Invalid as error:
                made.append(b"")
                refused.append(str(error))
            else:
                made.append(msgspec.json.encode(part))
                refused.append("")
        return {MADE: made, REFUSED: refused}


def side_by_side(loadable: Stored, table: Table, place: Place, batch: Batch, workers: int) -> Make:
    """Makes parts in so many processes of Ray's."""

    def make(numbers: Sequence[int]) -> Iterator[Part]:
        import ray.data

        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = ray.data.from_items([{NUMBER: n} for n in numbers], override_num_blocks=len(numbers))
        parts = rows.map_batches(
            PartMaker,
            fn_constructor_args=(loadable, table, place.address, batch),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(numbers))),
        )
        for row in parts.iter_rows():
            if row[REFUSED]:
                raise modelog.Invalid(row[REFUSED])
            yield msgspec.json.decode(row[MADE], type=Part)

    return make
