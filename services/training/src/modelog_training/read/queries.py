"""The training service's answers: one job or a page of them, as of a moment, for one tenant."""

from __future__ import annotations

from modelog_common.domain.errors import NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.training.v1 import training_pb2 as pb

from modelog_training.job.state import JobStatus
from modelog_training.read.tables import JOBS


class JobQueries:
    """Queries over the read table."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def job(self, job_id: str, read: ReadOptions, tenant: str) -> pb.Job:
        """One job; raises NotFound when there was none as of the moment."""
        found = await self._queries.one(JOBS, pb.Job, read, tenant, job_id=job_id)
        if found is None:
            raise NotFound(f"there is no job {job_id!r}" + (f" as of {read.as_of}" if read.as_of else ""))
        return found

    async def jobs(self, status: JobStatus | None, page: Page, read: ReadOptions, tenant: str) -> Found[pb.Job]:
        """Jobs in one status or in any, newest first."""
        t = JOBS.table.c
        where = [t.status == status.value] if status is not None else []
        return await self._queries.page(JOBS, pb.Job, read, tenant, page, where=where, order_by=[t.submitted_us.desc()])
