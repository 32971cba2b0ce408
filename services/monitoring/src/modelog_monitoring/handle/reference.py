"""The reference that windows are compared with: a profile of dataset versions, stored as a blob."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence

import numpy as np
import polars as pl
from modelog_common.domain.errors import Invalid
from modelog_common.stores.blobs import BlobStore

from modelog_monitoring.data.rows import Floats32
from modelog_monitoring.monitor.events import DatasetRef
from modelog_monitoring.peers import Registry
from modelog_monitoring.stats.profile import Kind, Profile, from_json, profile_of, to_json


class References:
    """Builds profiles, stores them as blobs, and keeps them in memory."""

    def __init__(self, registry: Registry, blobs: BlobStore) -> None:
        self._registry, self._blobs = registry, blobs
        self._known: dict[str, Profile] = {}

    async def build(self, reference: Sequence[DatasetRef], kinds: Mapping[str, Kind]) -> str:
        """Profile the rows of all these dataset versions together; returns the digest of the stored profile.

        Raises NotFound for a dataset version that does not exist, and Invalid, naming the field, for one that lacks a
        column or whose columns are not numbers.
        """
        tables: list[Floats32] = []
        for n, ref in enumerate(reference):
            version = await self._registry.dataset_version(ref.dataset, ref.version)
            content = await self._registry.file(version.digest)
            name = f"{ref.dataset} version {ref.version}"
            tables.append(await asyncio.to_thread(columns_of_parquet, content, list(kinds), f"reference[{n}]", name))
        document = await asyncio.to_thread(lambda: to_json(profile_of(np.concatenate(tables), kinds)))
        return (await self._blobs.put(_one(document))).digest

    async def profile(self, digest: str) -> Profile:
        """A stored profile; raises NotFound when it is gone."""
        if digest not in self._known:
            document = b"".join([chunk async for chunk in self._blobs.open(digest)])
            self._known[digest] = await asyncio.to_thread(from_json, document)
        return self._known[digest]


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def columns_of_parquet(content: bytes, columns: Sequence[str], field: str, name: str) -> Floats32:
    """These columns as (rows, columns) float32, as models get them; null becomes NaN.

    Raises Invalid, naming `field`.
    """
    try:
        schema = pl.read_parquet_schema(io.BytesIO(content))
        missing = [c for c in columns if c not in schema]
        if missing:
            raise Invalid.field(field, f"{name} lacks the columns {', '.join(missing)} that the deployed model takes")
        unfit = [c for c in columns if not (schema[c].is_numeric() or schema[c] == pl.Boolean)]
        if unfit:
            raise Invalid.field(
                field, f"{name} has {unfit[0]} as {schema[unfit[0]]}; models take numbers, so it must be numeric"
            )
        table = pl.read_parquet(io.BytesIO(content), columns=list(columns))
    except pl.exceptions.PolarsError as error:
        raise Invalid.field(field, f"{name} is not a readable Parquet file: {error}") from error
    if table.height == 0:
        raise Invalid.field(field, f"{name} has no rows")
    floats = table.select(pl.col(c).cast(pl.Float32).fill_null(float("nan")) for c in columns)
    return floats.to_numpy()
