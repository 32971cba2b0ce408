"""The rules of datasets: versions are counted, and new content makes a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.ids import derived_id

from modelog_registry.dataset.commands import DatasetCommand, RegisterDatasetVersion
from modelog_registry.dataset.events import DatasetEvent, DatasetVersionRegistered
from modelog_registry.dataset.expectation import check_columns, check_expectations
from modelog_registry.dataset.state import Dataset, evolve


def decide(dataset: Dataset, command: DatasetCommand, ctx: Context) -> Sequence[DatasetEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case RegisterDatasetVersion():
            return register_version(dataset, command, ctx)
        case _:
            assert_never(command)


def register_version(dataset: Dataset, command: RegisterDatasetVersion, ctx: Context) -> Sequence[DatasetEvent]:
    """The content that is the newest version already adds none."""
    check_columns(command.columns)
    check_expectations(command.expectations, command.columns)
    newest = dataset.newest
    if newest is not None and newest.digest == command.digest:
        return ()
    return [
        DatasetVersionRegistered(
            derived_id(ctx.tenant, command.dataset),
            command.dataset,
            len(dataset.versions) + 1,
            command.label,
            command.digest,
            command.size_bytes,
            command.rows,
            command.columns,
            command.expectations,
            command.description,
            ctx.actor,
            ctx.request_id,
            ctx.now,
        )
    ]


DATASET: Decider[Dataset, DatasetCommand, DatasetEvent] = Decider("registry.dataset", Dataset, decide, evolve)
