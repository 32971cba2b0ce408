"""Rows as models of Python's world take them: an array, or a table of pandas with the signature's datatypes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from modelog_common.domain.errors import Invalid

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import numbers_in, text_columns
from modelog_serving.oip.tensors import dtype_of


@dataclass(frozen=True)
class Table:
    """`names` are of the columns, empty for an array; `dtypes` are the columns' own."""

    names: tuple[str, ...]
    dtypes: tuple[np.dtype[Any], ...]

    @classmethod
    def of_signature(cls, signature: Signature, names: tuple[str, ...] | None = None) -> Table:
        """With the names that are given, else those of the signature's columns, where it names any."""
        dtypes = tuple(dtype_of(spec.name, spec.datatype) for spec in signature.inputs for _ in range(spec.width))
        if names is None:
            names = signature.features if any(spec.columns for spec in signature.inputs) else ()
        return cls(names, dtypes)

    def of(self, rows: Matrix) -> Any:
        """Raises ValueError for a missing value in a column of whole numbers."""
        whole = [n for n, dtype in enumerate(self.dtypes) if dtype.kind not in "fO"]
        if whole and np.isnan(rows[:, whole].astype(np.float64)).any():
            raise ValueError("a column of whole numbers has none for this row")
        alike = self.dtypes[0] if len(set(self.dtypes)) == 1 else None
        values = rows if alike is None else rows.astype(alike, copy=False)
        if not self.names:
            return values
        import pandas

        if alike is not None:
            return pandas.DataFrame(values, columns=list(self.names), copy=False)
        columns = zip(self.names, self.dtypes, strict=True)
        return pandas.DataFrame({name: rows[:, n].astype(dtype) for n, (name, dtype) in enumerate(columns)})


def not_taken(rows: Matrix, error: Exception) -> Invalid:
    """What a caller is told when a model refuses rows."""
    why = (str(error).splitlines() or [type(error).__name__])[0][:500]
    is_missing = np.isnan(numbers_in(rows)[:, [n for n in range(rows.shape[1]) if n not in text_columns(rows)]]).any()
    missing = "hold a missing value, which" if is_missing else "hold what"
    return Invalid.field("inputs", f"{missing} this model cannot take: {why}")
