"""Answers about A/B tests: one or a page of them, and what a test said at each look, as of a moment."""

from __future__ import annotations

from modelog_common.domain.errors import NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.monitoring.v1 import abtest_pb2 as pb

from modelog_monitoring.read.tables import AB_LOOKS, AB_TESTS


class AbTestQueries:
    """Queries over the read tables. What does not exist raises NotFound."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def test(self, name: str, read: ReadOptions, tenant: str) -> pb.AbTest:
        found = await self._queries.one(AB_TESTS, pb.AbTest, read, tenant, name=name)
        if found is None:
            when = f" as of {read.as_of}" if read.as_of else ""
            raise NotFound(f"there is no A/B test {name!r}{when}")
        return found

    async def tests(self, deployment: str, page: Page, read: ReadOptions, tenant: str) -> Found[pb.AbTest]:
        """Tests of one deployment or, for an empty name, of all; by name."""
        t = AB_TESTS.table.c
        where = [t.deployment == deployment] if deployment else []
        return await self._queries.page(AB_TESTS, pb.AbTest, read, tenant, page, where=where)

    async def looks(self, name: str, page: Page, read: ReadOptions, tenant: str) -> Found[pb.AbLook]:
        """What a test said, oldest look first."""
        await self.test(name, read, tenant)
        t = AB_LOOKS.table.c
        return await self._queries.page(
            AB_LOOKS, pb.AbLook, read, tenant, page, where=[t.test == name], order_by=[t.number]
        )
