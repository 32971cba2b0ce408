"""What may be asked of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_registry.dataset.expectation import Column, Expectation


@dataclass(frozen=True)
class RegisterDatasetVersion:
    """Add a version, named by the SHA-256 of its content."""

    dataset: str
    digest: str
    size_bytes: int
    rows: int
    columns: tuple[Column, ...]
    expectations: tuple[Expectation, ...] = ()
    label: str = ""
    description: str = ""


DatasetCommand = RegisterDatasetVersion
