"""Checks that what a command refers to exists. Each raises Invalid, naming the field that refers to nothing."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.events.store import EventStore
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import dataset_pb2

from modelog_registry.artifact import Artifact
from modelog_registry.handle.artifacts import Artifacts
from modelog_registry.model.events import DatasetRef
from modelog_registry.read.queries import RegistryQueries
from modelog_registry.run.events import RunDataset


class References:
    """Looks things up as of the end of the log: what was acknowledged to anybody is found."""

    def __init__(self, queries: RegistryQueries, store: EventStore, artifacts: Artifacts) -> None:
        self._queries, self._store, self._artifacts = queries, store, artifacts

    async def experiment(self, name: str, tenant: str) -> None:
        try:
            await self._queries.experiment(name, await self._now(), tenant)
        except NotFound as missing:
            raise Invalid.field("experiment", f"{missing}; create it first") from None

    async def run(self, run_id: str, tenant: str) -> None:
        """An empty id refers to no run, which is allowed."""
        if not run_id:
            return
        try:
            await self._queries.run(run_id, await self._now(), tenant)
        except NotFound as missing:
            raise Invalid.field("run_id", f"{missing}; leave it empty or name one that was started") from None

    async def datasets(self, datasets: Sequence[DatasetRef], tenant: str) -> None:
        for n, ref in enumerate(datasets):
            await self._dataset(ref.dataset, ref.version, f"datasets[{n}]", tenant)

    async def run_datasets(self, datasets: Sequence[RunDataset], tenant: str) -> None:
        """The digest must be the one that the version was registered with."""
        for n, ref in enumerate(datasets):
            known = await self._dataset(ref.dataset, ref.version, f"datasets[{n}]", tenant)
            if known.digest != ref.digest:
                raise Invalid.field(
                    f"datasets[{n}].digest",
                    f"is {ref.digest}, but {ref.dataset} {ref.version} was registered with {known.digest}",
                )

    async def _dataset(self, name: str, version: int, field: str, tenant: str) -> dataset_pb2.DatasetVersion:
        try:
            return await self._queries.dataset_version(name, version, await self._now(), tenant)
        except NotFound as missing:
            raise Invalid.field(field, f"{missing}; register it first") from None

    async def artifact(self, artifact: Artifact, field: str, tenant: str) -> None:
        try:
            size = await self._artifacts.size(tenant, artifact.digest)
        except NotFound:
            raise Invalid.field(
                f"{field}.digest", f"{artifact.digest} is not in the artifact store; upload it first"
            ) from None
        if size != artifact.size_bytes:
            raise Invalid.field(f"{field}.size_bytes", f"is {artifact.size_bytes}; the stored file has {size} bytes")

    async def _now(self) -> common.ReadOptions:
        return common.ReadOptions(at_least=await self._store.head())
