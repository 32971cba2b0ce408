"""Answers about service levels, over a period that ends with their last window, as of a moment."""

from __future__ import annotations

from datetime import datetime

from modelog_common.domain.errors import NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.common.v1.common_pb2 import Page as PageMessage
from modelog_proto.common.v1.common_pb2 import ReadOptions as ReadOptionsMessage
from modelog_proto.monitoring.v1 import level_pb2 as pb

from modelog_monitoring.data.rows import to_micros
from modelog_monitoring.level.state import HOUR, PERIOD
from modelog_monitoring.read.level_messages import begins, fill
from modelog_monitoring.read.tables import LEVEL_HOURS, LEVELS

ALL_HOURS = PageMessage(size=PERIOD // HOUR + 2)


class LevelQueries:
    """Queries over the read tables. What does not exist raises NotFound."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def level(
        self, deployment: str, version: str, period_hours: int, read: ReadOptions, tenant: str
    ) -> pb.ServiceLevel:
        """One version of a deployment, with its hours."""
        at = ReadOptionsMessage(as_of=str(await self._queries.position(read)))
        found = await self._queries.one(LEVELS, pb.ServiceLevel, at, tenant, deployment=deployment, version=version)
        if found is None:
            when = f" as of {read.as_of}" if read.as_of else ""
            raise NotFound(
                f"there is no service level of {version!r} of {deployment!r}{when}: no window of its traffic was held "
                "against targets of its model"
            )
        found.hours.extend(await self._fill(found, period_hours, at, tenant))
        return found

    async def levels(
        self, model: str, deployment: str, version: str, period_hours: int, page: Page, read: ReadOptions, tenant: str
    ) -> Found[pb.ServiceLevel]:
        """Levels of a model, a deployment or a version, or all; by deployment and version."""
        t = LEVELS.table.c
        named = ((t.model, model), (t.deployment, deployment), (t.version, version))
        at = ReadOptionsMessage(as_of=str(await self._queries.position(read)))
        where = [column == name for column, name in named if name]
        found = await self._queries.page(LEVELS, pb.ServiceLevel, at, tenant, page, where=where)
        for level in found.items:
            await self._fill(level, period_hours, at, tenant)
        return found

    async def _fill(
        self, level: pb.ServiceLevel, period_hours: int, read: ReadOptions, tenant: str
    ) -> list[pb.LevelHour]:
        since = begins(level, period_hours * HOUR if period_hours else PERIOD)
        hours = await self._hours(level, since, read, tenant)
        fill(level, since, hours)
        return hours

    async def _hours(
        self, level: pb.ServiceLevel, since: datetime, read: ReadOptions, tenant: str
    ) -> list[pb.LevelHour]:
        t = LEVEL_HOURS.table.c
        mine = [t.deployment == level.deployment, t.version == level.version, t.start_us >= to_micros(since)]
        found = await self._queries.page(
            LEVEL_HOURS, pb.LevelHour, read, tenant, ALL_HOURS, where=mine, order_by=[t.start_us]
        )
        return found.items
