"""The registry's answers about datasets: one thing or a page of them, as of a moment."""

from __future__ import annotations

from typing import TypeVar

from modelog_common.domain.errors import NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2

from modelog_registry.read.tables import DATASET_VERSIONS, DATASETS

T = TypeVar("T")
EVERYTHING = common.Page(size=2**31 - 2)


class TableQueries:
    """What all queries over the read tables can do."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def cover(self, position: int) -> None:
        """Wait until what is asked next is answered with what was written at `position`."""
        await self._queries.moment(common.ReadOptions(at_least=position))


class RegistryQueries(TableQueries):
    """Queries over the read tables. What does not exist as of the moment raises NotFound, which names it."""

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
