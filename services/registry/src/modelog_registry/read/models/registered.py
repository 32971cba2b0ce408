"""Which versions of registered models were made of what a run or a source holds."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.read.moment import ReadOptions
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2 as pb
from sqlalchemy import select

from modelog_registry.read.models.model_tables import VERSIONS
from modelog_registry.read.queries import TableQueries


class RegisteredQueries(TableQueries):
    """Finds them by index, whatever else is registered."""

    async def versions_from(
        self, run_id: str, source: str, read: ReadOptions, tenant: str
    ) -> Sequence[pb.ModelVersion]:
        """Versions that a run made, or whose source is of a run or logged model; also those out of sight."""
        t, at = VERSIONS.table.c, await self._queries.moment(read)
        found: dict[int, pb.ModelVersion] = {}
        # Two questions: of an "or" a database makes one look at all rows.
        for column, wanted in ((t.run_id, run_id), (t.source_id, source)):
            if wanted:
                rows = await self._queries.fetch(
                    select(t.row, t.body).where(t.tenant == tenant, column == wanted, VERSIONS.at(at))
                )
                found |= {row.row: pb.ModelVersion.FromString(row.body) for row in rows}
        return list(found.values())

    async def sees(self, version: pb.ModelVersion, tenant: str) -> bool:
        """Whether the caller may know of a version."""
        key = {"model": version.model, "version": version.version}
        return await self._queries.one(VERSIONS, pb.ModelVersion, common.ReadOptions(), tenant, **key) is not None
