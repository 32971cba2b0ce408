"""The registry's answers: one thing or a page of them, as of a moment, for one tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from modelog_common.domain.errors import NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2, model_pb2

from modelog_registry.model.stage import Stage
from modelog_registry.read.tables import (
    DATASET_VERSIONS,
    DATASETS,
    EXPERIMENTS,
    MODELS,
    RUN_POINTS,
    RUNS,
    VERSIONS,
)

T = TypeVar("T")
_EVERYTHING = common.Page(size=2**31 - 2)


class RegistryQueries:
    """Queries over the read tables. What does not exist as of the moment raises NotFound, which names it."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def model(self, name: str, read: ReadOptions, tenant: str) -> model_pb2.Model:
        """A model with all its versions, newest first."""
        found = await self._queries.one(MODELS, model_pb2.Model, read, tenant, name=name)
        model = _existing(found, f"there is no model {name!r}", read)
        await self._add_versions([model], tenant)
        return model

    async def models(self, page: Page, read: ReadOptions, tenant: str) -> Found[model_pb2.Model]:
        """Models with all their versions, by name."""
        found = await self._queries.page(MODELS, model_pb2.Model, read, tenant, page)
        await self._add_versions(found.items, tenant)
        return found

    async def _add_versions(self, models: Sequence[model_pb2.Model], tenant: str) -> None:
        """Versions as of the models' last event: no other event of these models lies between theirs and that one."""
        if not models:
            return
        t = VERSIONS.table.c
        by_name = {m.name: m for m in models}
        moment = common.ReadOptions(as_of=str(max(m.position for m in models)))
        found = await self._queries.page(
            VERSIONS,
            model_pb2.ModelVersion,
            moment,
            tenant,
            _EVERYTHING,
            where=[t.model.in_(by_name)],
            order_by=[t.model, t.ordinal.desc()],
        )
        for version in found.items:
            by_name[version.model].versions.append(version)

    async def version(self, model: str, version: str, read: ReadOptions, tenant: str) -> model_pb2.ModelVersion:
        found = await self._queries.one(VERSIONS, model_pb2.ModelVersion, read, tenant, model=model, version=version)
        return _existing(found, f"there is no version {version!r} of a model {model!r}", read)

    async def versions(
        self, model: str, stage: Stage | None, page: Page, read: ReadOptions, tenant: str
    ) -> Found[model_pb2.ModelVersion]:
        """Versions of one model or, for an empty name, of all; newest first."""
        t = VERSIONS.table.c
        where = [t.model == model] if model else []
        where += [t.stage == stage.value] if stage is not None else []
        return await self._queries.page(
            VERSIONS,
            model_pb2.ModelVersion,
            read,
            tenant,
            page,
            where=where,
            order_by=[t.created_us.desc(), t.ordinal.desc()],
        )

    async def experiment(self, name: str, read: ReadOptions, tenant: str) -> experiment_pb2.Experiment:
        found = await self._queries.one(EXPERIMENTS, experiment_pb2.Experiment, read, tenant, name=name)
        return _existing(found, f"there is no experiment {name!r}", read)

    async def experiments(self, page: Page, read: ReadOptions, tenant: str) -> Found[experiment_pb2.Experiment]:
        return await self._queries.page(EXPERIMENTS, experiment_pb2.Experiment, read, tenant, page)

    async def run(self, run_id: str, read: ReadOptions, tenant: str) -> experiment_pb2.Run:
        """A run without the points of its metrics."""
        found = await self._queries.one(RUNS, experiment_pb2.Run, read, tenant, run_id=run_id)
        return _existing(found, f"there is no run {run_id!r}", read)

    async def run_with_points(self, run_id: str, read: ReadOptions, tenant: str) -> experiment_pb2.Run:
        """A run with the points of its metrics, in the order in which they were told."""
        run = await self.run(run_id, read, tenant)
        t = RUN_POINTS.table.c
        told = await self._queries.page(
            RUN_POINTS,
            experiment_pb2.Run,
            common.ReadOptions(as_of=str(run.position)),
            tenant,
            _EVERYTHING,
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
        return _existing(found, f"there is no version {version} of a dataset {dataset!r}", read)

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


def _existing(found: T | None, otherwise: str, read: ReadOptions) -> T:
    if found is None:
        raise NotFound(f"{otherwise} as of {read.as_of}" if read.as_of else otherwise)
    return found
