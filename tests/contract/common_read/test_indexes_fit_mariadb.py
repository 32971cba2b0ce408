"""MariaDB makes no index of more than 3,072 bytes: no read table of any service asks for one."""

from __future__ import annotations

import re

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
        text = re.fullmatch(r"(VARBINARY|VARCHAR)\((\d+)\)", table.c[name].type.compile(dialect))
        bytes_each = 1 if text and text[1] == "VARBINARY" else UTF8_BYTES
        size += int(text[2]) * bytes_each if text else NUMBER_BYTES
    return size


@pytest.mark.parametrize("tables", [MONITORING, REGISTRY, TRAINING], ids=["monitoring", "registry", "training"])
def test_every_index_fits(tables: MetaData) -> None:
    indexes: list[tuple[Table, Index]] = [(t, index) for t in tables.sorted_tables for index in t.indexes]
    assert indexes
    for table, index in indexes:
        size = size_bytes(table, [column.name for column in index.columns])
        assert size <= MOST_BYTES, f"{index.name} takes {size} bytes"
