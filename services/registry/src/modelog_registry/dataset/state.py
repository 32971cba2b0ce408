"""A dataset as its events left it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from modelog_registry.dataset.events import DatasetEvent, DatasetVersionRegistered


@dataclass(frozen=True)
class Dataset:
    """A dataset's versions, oldest first; version n stands at n - 1."""

    versions: tuple[DatasetVersionRegistered, ...] = ()

    @property
    def newest(self) -> DatasetVersionRegistered | None:
        return self.versions[-1] if self.versions else None

    def version_of_request(self, request_id: str) -> DatasetVersionRegistered | None:
        """The version that a request registered."""
        return next((v for v in self.versions if v.request_id == request_id), None)


def evolve(dataset: Dataset, event: DatasetEvent) -> Dataset:
    """Fold one event."""
    match event:
        case DatasetVersionRegistered():
            return replace(dataset, versions=(*dataset.versions, event))
        case _:
            assert_never(event)
