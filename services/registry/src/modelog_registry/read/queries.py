"""The registry's answers about experiments, runs and datasets: one thing or a page of them, as of a moment."""

from __future__ import annotations

from typing import TypeVar

from modelog_common.domain.errors import NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2

from modelog_registry.read.tables import (
    DATASET_VERSIONS,
    DATASETS,
    EXPERIMENTS,
    RUN_POINTS,
    RUNS,
)

T = TypeVar("T")
EVERYTHING = common.Page(size=2**31 - 2)


class RegistryQueries:
    """Queries over the read tables. What does not exist as of the moment raises NotFound, which names it."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def experiment(self, name: str, read: ReadOptions, tenant: str) -> experiment_pb2.Experiment:
        found = await self._queries.one(EXPERIMENTS, experiment_pb2.Experiment, read, tenant, name=name)
        return existing(found, f"there is no experiment {name!r}", read)

    async def experiments(self, page: Page, read: ReadOptions, tenant: str) -> Found[experiment_pb2.Experiment]:
        return await self._queries.page(EXPERIMENTS, experiment_pb2.Experiment, read, tenant, page)

    async def run(self, run_id: str, read: ReadOptions, tenant: str) -> experiment_pb2.Run:
        """A run without the points of its metrics."""
        found = await self._queries.one(RUNS, experiment_pb2.Run, read, tenant, run_id=run_id)
        return existing(found, f"there is no run {run_id!r}", read)

    async def run_with_points(self, run_id: str, read: ReadOptions, tenant: str) -> experiment_pb2.Run:
        """A run with the points of its metrics, in the order in which they were told."""
        run = await self.run(run_id, read, tenant)
        t = RUN_POINTS.table.c
        told = await self._queries.page(
            RUN_POINTS,
            experiment_pb2.Run,
            common.ReadOptions(as_of=str(run.position)),
            tenant,
            EVERYTHING,
            where=[t.run_id == run_id],
            order_by=[t.ordinal],
        )
        for points in told.items:
            run.MergeFrom(points)
        return run

    async def runs(self, experiment: str, page: Page, read: ReadOptions, tenant: str) -> Found[experiment_pb2.Run]:
        """Runs of one experiment or, for an empty name, of all; newest first, without points."""
        t = RUNS.table.c
        where = [t.experiment == experiment] if experiment else []
        return await self._queries.page(
            RUNS, experiment_pb2.Run, read, tenant, page, where=where, order_by=[t.started_us.desc()]
        )

    async def datasets(self, page: Page, read: ReadOptions, tenant: str) -> Found[dataset_pb2.Dataset]:
        return await self._queries.page(DATASETS, dataset_pb2.Dataset, read, tenant, page)

    async def dataset_version(
        self, dataset: str, version: int, read: ReadOptions, tenant: str
    ) -> dataset_pb2.DatasetVersion:
        found = await self._queries.one(
            DATASET_VERSIONS, dataset_pb2.DatasetVersion, read, tenant, dataset=dataset, version=str(version)
        )
        return existing(found, f"there is no version {version} of a dataset {dataset!r}", read)

    async def dataset_versions(
        self, dataset: str, page: Page, read: ReadOptions, tenant: str
    ) -> Found[dataset_pb2.DatasetVersion]:
        """Versions of one dataset, oldest first."""
        t = DATASET_VERSIONS.table.c
        return await self._queries.page(
            DATASET_VERSIONS,
            dataset_pb2.DatasetVersion,
            read,
            tenant,
            page,
            where=[t.dataset == dataset],
            order_by=[t.number],
        )


def existing(found: T | None, otherwise: str, read: ReadOptions) -> T:
    """What was found; raises NotFound, which says what is missing, when nothing was."""
    if found is None:
        raise NotFound(f"{otherwise} as of {read.as_of}" if read.as_of else otherwise)
    return found
