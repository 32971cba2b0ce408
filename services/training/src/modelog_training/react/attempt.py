"""One attempt at a job: data, checks, run, the user's code, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from modelog_common.domain.errors import ModelogError
from modelog_common.domain.ids import derived_id
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2

from modelog_training.handle.files import Files
from modelog_training.handle.folders import JobFolders
from modelog_training.job.commands import (
    BeginBatch,
    ConfirmCancelled,
    Fail,
    FinishBatch,
    LinkRun,
    LoseAttempt,
    RecordChecks,
    Report,
    Succeed,
)
from modelog_training.job.events import CheckResult, JobSubmitted
from modelog_training.react.inputs import Ended, Inputs, assigned_dataset
from modelog_training.react.outcome import version_request
from modelog_training.react.patience import GaveUp, Patience
from modelog_training.react.pump import Pump
from modelog_training.registry import Registry, environment, run_datasets
from modelog_training.work.assignment import AssignedModel, Assignment
from modelog_training.work.journal import BatchBegan, BatchRecord
from modelog_training.work.workers import WorkerHandle, WorkerLost, Workers

T = TypeVar("T")
Reporter = Callable[[Report], Awaitable[None]]
ERROR_LONGEST = 20_000
COMPLETED, FAILED, CANCELLED = (
    experiment_pb2.RUN_STATUS_COMPLETED,
    experiment_pb2.RUN_STATUS_FAILED,
    experiment_pb2.RUN_STATUS_CANCELLED,
)


class Stopped(Exception):
    """Somebody asked for the job to be cancelled."""


@dataclass(frozen=True)
class Tools:
    """What attempts work with."""

    registry: Registry
    workers: Workers
    folders: JobFolders
    files: Files
    patience: Patience


class Attempt:
    """Runs one attempt; `report` appends what it tells to the job's stream, under the attempt's fence."""

    def __init__(self, job: JobSubmitted, attempt: int, fence: int, tools: Tools, report: Reporter) -> None:
        self._job, self._number, self._fence = job, attempt, fence
        self._tools, self._report = tools, report
        self._cancel = asyncio.Event()
        self._run_id = ""
        self._pump: Pump | None = None

    def cancel(self) -> None:
        """Stop the worker; the attempt then ends as cancelled."""
        self._cancel.set()

    async def run(self) -> None:
        """To the end: the last thing told is how the attempt ended."""
        job_id, fence = self._job.job_id, self._fence
        try:
            succeeded = await self._work()
        except Stopped:
            await self._close(CANCELLED, "", ConfirmCancelled(job_id, fence))
        except (WorkerLost, GaveUp) as error:
            await self._close(FAILED, f"the attempt was lost: {error}", LoseAttempt(job_id, fence, str(error)))
        except (Ended, ModelogError) as error:
            await self._close(FAILED, str(error), Fail(job_id, fence, str(error)))
        else:
            await self._close(COMPLETED, "", succeeded)

    async def _close(self, status: experiment_pb2.RunStatus.ValueType, error: str, report: Report) -> None:
        """End the run before the job: a service that is killed in between does both again."""
        patience, registry = self._tools.patience, self._tools.registry
        if self._pump is not None:
            try:
                await self._pump.drain(patience.endless)
            except ModelogError as refused:
                self._note(f"not all that was logged could be kept: {refused}")
        if self._run_id:
            request_id = self.request_id("end", str(status))
            await patience.endless(lambda: registry.end_run(self._run_id, status, error[:ERROR_LONGEST], request_id))
        self._note(_in_words(report, self._number))
        self._tools.folders.close_attempts(self._job.job_id)
        await self._report(report)

    async def _work(self) -> Succeed:
        self._note(f"attempt {self._number} of at most {self._job.max_attempts}")
        inputs = Inputs(self._job, self._tools.registry, self._tools.files, self._patiently)
        versions = await inputs.datasets()
        await inputs.source()
        assignment = self._assignment(versions, await inputs.models())
        worker = await self._bounded(self._tools.workers.take(threads_of(self._job)), None)
        usable = False
        try:
            deadline = asyncio.get_running_loop().time() + self._job.timeout_s
            await self._check(worker, assignment, deadline)
            await self._start_run(worker, versions)
            pump = self._pump = Pump(
                Path(assignment.folder), self._run_id, self._tools.registry, self._tools.files, self.request_id,
                lambda told: self._report(batch_told(self._job.job_id, self._fence, told)),
            )  # fmt: skip
            dirty = await self._run_code(worker, assignment, pump, deadline)
            usable = not dirty
        finally:
            await self._tools.workers.give_back(worker, usable=usable)
        return await self._result(pump)

    async def _check(self, worker: WorkerHandle, assignment: Assignment, deadline: float) -> None:
        checked = await self._bounded(worker.check(assignment), deadline)
        if checked.results:
            await self._report(RecordChecks(self._job.job_id, self._fence, checked.results))
        if checked.error:
            raise Ended(checked.error)
        broken = [result for result in checked.results if not result.passed]
        if broken:
            told = "; ".join(_told(result) for result in broken)
            raise Ended(f"the data is not as expected, so no code was run: {told}")

    async def _start_run(self, worker: WorkerHandle, versions: list[dataset_pb2.DatasetVersion]) -> None:
        job, registry = self._job, self._tools.registry
        machine = await worker.machine()
        await self._patiently(lambda: registry.ensure_experiment(job.experiment, self.request_id("experiment")))
        request = experiment_pb2.StartRunRequest(
            experiment=job.experiment,
            name=f"{job.name}-{job.job_id[:8]}" + (f"-{self._number}" if self._number > 1 else ""),
            datasets=run_datasets(versions),
            environment=environment(
                machine.python,
                machine.platform,
                machine.packages,
                job.git_commit,
                job.git_dirty,
                job.entry_point,
                job.source_digest,
            ),
            tags={**job.tags, "author": job.author, "job_id": job.job_id, "attempt": str(self._number)},
            request_id=self.request_id("start"),
        )
        request.parameters.update(job.parameters)
        self._run_id = await self._patiently(lambda: registry.start_run(request))
        await self._report(LinkRun(job.job_id, self._fence, self._run_id))

    async def _run_code(self, worker: WorkerHandle, assignment: Assignment, pump: Pump, deadline: float) -> str:
        """What the code left behind in the worker. Raises Ended with its error."""
        pumping = asyncio.create_task(pump.run(self._patiently), name=f"pump {self._job.job_id}")
        try:
            outcome = await self._bounded(worker.run(assignment), deadline, pumping)
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
        await pump.drain(self._patiently)
        if outcome.dirty:
            self._note(f"the code left {outcome.dirty} running; its process is ended")
        if outcome.error:
            raise Ended(outcome.error)
        return outcome.dirty

    async def _result(self, pump: Pump) -> Succeed:
        job, registry = self._job, self._tools.registry
        model = pump.model
        digest = model.digest if model is not None else ""
        if job.register is None:
            return Succeed(job.job_id, self._fence, self._run_id, pump.metrics, digest)
        if model is None:
            raise Ended(
                f"the job was to register a version of {job.register.model}, but its code saved no model; "
                "call context.save_model"
            )
        name, description = job.register.model, job.register.description
        # Not the attempt's: whichever attempt registers first, the others get its version as their answer.
        request = version_request(
            job, job.register, self._run_id, model, pump.metrics, derived_id(job.job_id, "version")
        )
        try:
            await self._patiently(lambda: registry.ensure_model(name, description, derived_id(job.job_id, "model")))
            version = await self._patiently(lambda: registry.register_version(request))
        except ModelogError as error:
            raise Ended(f"the model could not be registered as a version of {name}: {error}") from error
        self._note(f"registered {name} {version.version}")
        return Succeed(job.job_id, self._fence, version.run_id, pump.metrics, version.artifact.digest, version.version)

    def _assignment(self, versions: list[dataset_pb2.DatasetVersion], models: list[AssignedModel]) -> Assignment:
        job, folders = self._job, self._tools.folders
        return Assignment(
            folder=str(folders.open_attempt(job.job_id, self._fence)),
            log_file=str(folders.log(job.job_id)),
            files=str(self._tools.files.folder),
            entry_point=job.entry_point,
            source_digest=job.source_digest,
            parameters=job.parameters,
            datasets=tuple(assigned_dataset(version) for version in versions),
            cpus=job.resources.cpus,
            models=tuple(models),
        )

    async def _bounded(self, work: Coroutine[Any, Any, T], deadline: float | None, *beside: asyncio.Task[Any]) -> T:
        """The work's result. Raises Stopped or Ended when it is to stop before, and what a task beside it raises."""
        working = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._cancel.wait())
        left_s = None if deadline is None else deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait({working, stop, *beside}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            if stop.done():
                raise Stopped
            for task in beside:
                if task.done():
                    task.result()
            raise Ended(f"it ran longer than its timeout_s of {self._job.timeout_s:g} s and was stopped")
        finally:
            for task in (working, stop):
                task.cancel()
            # The worker is ended next, by which the call to it fails; nobody waits for that.
            await asyncio.gather(stop, return_exceptions=True)
            working.add_done_callback(_seen)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._tools.patience.limited(call)

    def request_id(self, *what: str) -> str:
        """The id of a command to a peer: the attempt's, so that sending it again is safe."""
        return derived_id(self._job.job_id, str(self._fence), *what)

    def _note(self, text: str) -> None:
        self._tools.folders.note(self._job.job_id, text)


def threads_of(job: JobSubmitted) -> int:
    """How many threads the libraries of a job may use."""
    return max(1, int(job.resources.cpus))


def batch_told(job_id: str, fence: int, record: BatchRecord) -> BeginBatch | FinishBatch:
    """What the worker said of its batch, as a command."""
    made = BeginBatch if isinstance(record, BatchBegan) else FinishBatch
    return made(job_id, fence, **{name: getattr(record, name) for name in record.__struct_fields__})


def _told(result: CheckResult) -> str:
    column = f" column {result.column!r}" if result.column else ""
    return f"{result.dataset} {result.version}{column} breaks {result.kind}: {result.detail}"


def _in_words(report: Report, attempt: int) -> str:
    match report:
        case Succeed():
            return f"attempt {attempt} succeeded"
        case Fail(error=error):
            return f"attempt {attempt} failed: {error}"
        case LoseAttempt(reason=reason):
            return f"attempt {attempt} was lost: {reason}"
        case _:
            return f"attempt {attempt} was cancelled"


def _seen(task: asyncio.Future[Any]) -> None:
    """Take note of a result that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
