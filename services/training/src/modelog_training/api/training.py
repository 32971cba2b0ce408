"""modelog.training.v1.TrainingService over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_common.domain.ids import derived_id
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.training.v1 import training_pb2 as pb
from modelog_proto.training.v1.training_pb2_grpc import TrainingServiceServicer

from modelog_training.api.calls import command_call, follow_s, tenant
from modelog_training.api.parse import status_wanted, submit_job
from modelog_training.handle.folders import JobFolders
from modelog_training.handle.jobs import Jobs
from modelog_training.handle.logs import read_log
from modelog_training.job.commands import CancelJob
from modelog_training.read.queries import JobQueries

Call = grpc.aio.ServicerContext[Any, Any]


class TrainingServicer(TrainingServiceServicer):
    """Training jobs."""

    def __init__(self, jobs: Jobs, queries: JobQueries, folders: JobFolders, clock: Clock) -> None:
        self._jobs, self._queries, self._folders, self._clock = jobs, queries, folders, clock

    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Call) -> pb.Job:
        ctx = command_call(self._clock, request.request_id, "SubmitJob")
        job_id = derived_id("job", ctx.tenant, ctx.request_id)
        position = await self._jobs.submit(submit_job(request.spec, job_id), ctx)
        return await self._queries.job(job_id, common.ReadOptions(at_least=position), ctx.tenant)

    async def GetJob(self, request: pb.GetJobRequest, context: Call) -> pb.Job:
        return await self._queries.job(request.job_id, request.read, tenant())

    async def ListJobs(self, request: pb.ListJobsRequest, context: Call) -> pb.ListJobsResponse:
        found = await self._queries.jobs(status_wanted(request.status), request.page, request.read, tenant())
        return pb.ListJobsResponse(jobs=found.items, next_page_token=found.next_page_token)

    async def CancelJob(self, request: pb.CancelJobRequest, context: Call) -> pb.Job:
        ctx = command_call(self._clock, request.request_id, "CancelJob")
        position = await self._jobs.cancel(CancelJob(request.job_id, request.reason), ctx)
        return await self._queries.job(request.job_id, common.ReadOptions(at_least=position), ctx.tenant)

    async def GetJobLogs(self, request: pb.GetJobLogsRequest, context: Call) -> pb.GetJobLogsResponse:
        job_id, of = request.job_id, tenant()
        part = await read_log(
            self._folders.log(job_id),
            request.offset,
            lambda: self._jobs.has_ended(job_id, of),
            follow_s(request.follow),
        )
        return pb.GetJobLogsResponse(text=part.text, next_offset=part.next_offset, complete=part.complete)
