"""Datasets, and what is expected of their columns."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types.artifacts import DatasetRef
from modelog.types.records import Record


class Column(Record):
    name: str
    type: str


class Expectation(Record):
    """Something that must hold of the data: not_null, unique, between, in_set, row_count or max_null_share."""

    kind: str
    column: str = ""
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    values: List[str] = []


class DatasetVersion(Record):
    dataset: str = ""
    version: int = 0
    label: str = ""
    digest: str = ""
    size_bytes: int = 0
    rows: int = 0
    schema: List[Column] = []
    expectations: List[Expectation] = []
    description: str = ""
    author: str = ""
    created_at: Optional[datetime] = None
    position: int = 0

    @property
    def ref(self) -> DatasetRef:
        return DatasetRef(dataset=self.dataset, version=self.version)


class Dataset(Record):
    id: str = ""
    name: str = ""
    latest_version: int = 0
    created_at: Optional[datetime] = None
    position: int = 0
