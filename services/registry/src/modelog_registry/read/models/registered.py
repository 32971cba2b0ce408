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
    """Looks at all versions of a tenant: files are seldom taken away."""

    async def versions_from(
        self, run_id: str, source: str, read: ReadOptions, tenant: str
    ) -> Sequence[pb.ModelVersion]:
        """Versions that a run made, or whose source holds a text, in sight or not; an empty text is that of none."""
        t, at = VERSIONS.table.c, await self._queries.moment(read)
        where = (t.tenant == tenant, VERSIONS.at(at))
        rows = await self._queries.fetch(select(t.run_id, t.source, t.body).where(*where))
        return [
            pb.ModelVersion.FromString(row.body)
            for row in rows
            if (run_id and row.run_id == run_id) or (source and source in row.source)
        ]

    async def sees(self, version: pb.ModelVersion, tenant: str) -> bool:
        """Whether the caller may know of a version."""
        key = {"model": version.model, "version": version.version}
        return await self._queries.one(VERSIONS, pb.ModelVersion, common.ReadOptions(), tenant, **key) is not None
