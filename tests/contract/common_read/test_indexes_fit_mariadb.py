"""MariaDB makes no index of more than 3,072 bytes: no read table of any service asks for one."""

from __future__ import annotations

import pytest
from modelog_common.read.text import UTF8_BYTES
from modelog_monitoring.read.tables import TABLES as MONITORING
from modelog_registry.read.tables import TABLES as REGISTRY
from modelog_training.read.tables import TABLES as TRAINING
from sqlalchemy import Index, MetaData, Table
from sqlalchemy.dialects import mysql

MOST_BYTES = 3072
NUMBER_BYTES = 8


def size_bytes(table: Table, columns: list[str]) -> int:
    """What the largest entry of an index takes: a length in VARBINARY is in bytes, in VARCHAR in characters."""
    dialect, size = mysql.dialect(), 0
    for name in columns:
        kind = table.c[name].type.dialect_impl(dialect)
        length = getattr(kind.impl_instance if hasattr(kind, "impl_instance") else kind, "length", None)
        is_bytes = kind.compile(dialect=dialect).startswith("VARBINARY")
        size += NUMBER_BYTES if length is None else length * (1 if is_bytes else UTF8_BYTES)
    return size


@pytest.mark.parametrize("tables", [MONITORING, REGISTRY, TRAINING], ids=["monitoring", "registry", "training"])
def test_every_index_fits(tables: MetaData) -> None:
    indexes: list[tuple[Table, Index]] = [(t, index) for t in tables.sorted_tables for index in t.indexes]
    assert indexes
    for table, index in indexes:
        size = size_bytes(table, [column.name for column in index.columns])
        assert size <= MOST_BYTES, f"{index.name} takes {size} bytes"
