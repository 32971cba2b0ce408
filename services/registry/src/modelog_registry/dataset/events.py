"""What happens to a dataset."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event

from modelog_registry.dataset.expectation import Column, Expectation


@event("registry.DatasetVersionRegistered")
class DatasetVersionRegistered:
    """A version was added; versions count from 1, and `request_id` names the request that did it."""

    dataset_id: str
    dataset: str
    version: int
    label: str
    digest: str
    size_bytes: int
    rows: int
    columns: tuple[Column, ...]
    expectations: tuple[Expectation, ...]
    description: str
    author: str
    request_id: str
    at: datetime


DatasetEvent = DatasetVersionRegistered
