"""The registry's answers about change requests, as of a moment."""

from __future__ import annotations

from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.registry.v1 import change_pb2 as pb

from modelog_registry.model.change_state import ChangeState
from modelog_registry.read.models.model_tables import CHANGES
from modelog_registry.read.queries import existing


class ChangeQueries:
    """Queries over the read tables. What does not exist as of the moment raises NotFound, which names it."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def change(self, model: str, number: int, read: ReadOptions, tenant: str) -> pb.ChangeRequest:
        found = await self._queries.one(CHANGES, pb.ChangeRequest, read, tenant, model=model, change=str(number))
        return existing(found, f"there is no change request {number} of a model {model!r}", read)

    async def changes(
        self, model: str, version: str, state: ChangeState | None, page: Page, read: ReadOptions, tenant: str
    ) -> Found[pb.ChangeRequest]:
        """Those of one model or, for an empty name, of all; newest first."""
        t = CHANGES.table.c
        where = [t.model == model] if model else []
        where += [t.version == version] if version else []
        where += [t.state == state.value] if state is not None else []
        order_by = [t.created_us.desc(), t.ordinal.desc()]
        return await self._queries.page(CHANGES, pb.ChangeRequest, read, tenant, page, where=where, order_by=order_by)
