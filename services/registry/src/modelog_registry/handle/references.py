"""Checks that what a command refers to exists. Each raises Invalid, naming the field that refers to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.artifact import Artifact
from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.dataset.state import Dataset
from modelog_registry.handle.artifacts import Artifacts
from modelog_registry.model.events import DatasetRef
from modelog_registry.run.events import RunDataset
from modelog_registry.run.state import Run


class References:
    """Looks things up in the log, so what was acknowledged to anybody is found, and no read table has to be there."""

    def __init__(
        self,
        runs: Entities[Run, Any, Any],
        datasets: Entities[Dataset, Any, Any],
        artifacts: Artifacts,
    ) -> None:
        self._runs, self._datasets, self._artifacts = runs, datasets, artifacts

    async def run(self, run_id: str, tenant: str, field: str = "run_id") -> None:
        """An empty id refers to no run, which is allowed."""
        if not run_id:
            return
        if (await self._runs.current(run_id)).state.of(tenant) is None:
            raise Invalid.field(field, f"there is no run {run_id!r}; leave it empty or name one that was started")

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

    async def _dataset(self, name: str, version: int, field: str, tenant: str) -> DatasetVersionRegistered:
        versions = (await self._datasets.load(derived_id(tenant, name))).state.versions
        if not 0 < version <= len(versions):
            raise Invalid.field(field, f"there is no version {version} of a dataset {name!r}; register it first")
        return versions[version - 1]

    async def artifact(self, artifact: Artifact, field: str, tenant: str) -> None:
        try:
            size = await self._artifacts.size(tenant, artifact.digest)
        except NotFound:
            raise Invalid.field(
                f"{field}.digest", f"{artifact.digest} is not in the artifact store; upload it first"
            ) from None
        if size != artifact.size_bytes:
            raise Invalid.field(f"{field}.size_bytes", f"is {artifact.size_bytes}; the stored file has {size} bytes")
