"""Workers from a Ray cluster of this machine's own, started and ended with the service."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil
import structlog
from modelog_common.domain.errors import Unavailable

from modelog_training.compute.leftovers import OWNER, ProcessList, end, remove_abandoned
from modelog_training.compute.patient_ray import make_patient
from modelog_training.compute.thread import OwnThread
from modelog_training.work.assignment import Assignment, Checked, Machine, Outcome
from modelog_training.work.worker import Worker
from modelog_training.work.workers import WorkerHandle, WorkerLost

OBJECT_STORE_BYTES = 80_000_000
# Ray adds "/session_<date>_<time>_<process id>/sockets/plasma_store"; a Unix socket's name has at most 107 bytes.
LONGEST_FOLDER = 107 - len("/session_2026-11-24_04-05-01_382338_1234567/sockets/plasma_store")
SHORT_NAME = "modelog-ray-"
SHORT_FOLDERS = Path("/tmp")  # noqa: S108 - each is named after its owner, who alone may read it
HEAD = ("gcs_server", "raylet")
LOOK_S = 1.0
# A process of Ray's may die, or another process take a port before Ray does.
STARTS = 3
log = structlog.get_logger()


class RayWorkers:
    """The port Workers over local Ray. A worker is an actor that is used for one job after another."""

    def __init__(self, folder: Path, cpus: int) -> None:
        self._folder, self._cpus = folder, cpus
        self._temporary = temporary_folder(folder)
        self._processes = ProcessList(folder / "processes.json")
        # Ray's processes die with the thread that started them (PR_SET_PDEATHSIG), so this one lives as long as we do.
        self._thread = OwnThread("ray")
        self._idle: list[WorkerHandle] = []
        self._coming: list[tuple[int, asyncio.Task[WorkerHandle]]] = []
        self._actor: Any = None
        self._head: list[psutil.Process] = []
        self._stopping = False

    async def start(self) -> None:
        """Start Ray, and one worker to have it ready; some ten seconds on two busy cores, minutes on busier ones.

        Raises Unavailable when Ray did not come up in several tries.
        """
        await self._thread.run(self._start)
        self._warm_up(1)

    def _start(self) -> None:
        if "ray" in sys.modules:
            # Ray reads its token when it is imported, and never again: every call to our own would wait for ever.
            raise Unavailable("Ray was imported before it had its token: training needs a process of its own")
        ended = self._processes.end_all()
        if ended:
            log.warning("processes of an earlier incarnation were ended", processes=ended)
        shutil.rmtree(self._temporary, ignore_errors=True)
        remove_abandoned(SHORT_FOLDERS.glob(f"{SHORT_NAME}*"))
        self._temporary.mkdir(parents=True)
        ProcessList(self._temporary / OWNER).write([psutil.Process()])
        os.environ |= {
            "RAY_USAGE_STATS_ENABLED": "0",
            # Signals are the service's to handle.
            "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
            # Ray's ports are open to the network; only who has this incarnation's token may use them.
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        make_patient(self._raylet_lives)
        self._start_ray()
        self._temporary.chmod(0o700)  # Ray lets everybody in
        import ray

        self._actor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(Worker)
        self._note_processes()
        self._head = [process for process in self._rays_processes() if process.name() in HEAD]

    def _start_ray(self) -> None:
        import ray

        for attempt in range(1, STARTS + 1):
            try:
                ray.init(
                    num_cpus=self._cpus,
                    num_gpus=0,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    _temp_dir=str(self._temporary),
                    # Idle processes for tasks, of which there are none.
                    _system_config={"prestart_worker_first_driver": False},
                )
                return
            except Exception as error:
                # Ray raises a plain Exception for a raylet that did not come.
                if self._stopping:
                    raise
                log.warning("Ray did not start", attempt=attempt, error=str(error))
                end(self._rays_processes())
        raise Unavailable(f"Ray did not start in {STARTS} tries; the log of this service has the reasons")

    async def watch(self) -> None:
        """Without its head Ray answers nothing and reports nothing: calls would wait for ever."""
        while True:
            gone = [process.name() for process in self._head if not _runs(process)]
            if gone:
                raise Unavailable(f"Ray's {' and '.join(gone)} ended; the service has to be started again")
            await asyncio.sleep(LOOK_S)

    async def take(self, threads: int) -> WorkerHandle:
        for n, worker in enumerate(self._idle):
            if worker.threads == threads:
                del self._idle[n]
                return worker
        for n, (coming_threads, coming) in enumerate(self._coming):
            if coming_threads == threads:
                del self._coming[n]
                return await self._made(coming, threads)
        if len(self._idle) >= self._cpus:
            await self._idle.pop(0).kill()
        return await self._make(threads)

    async def _made(self, coming: asyncio.Task[WorkerHandle], threads: int) -> WorkerHandle:
        try:
            return await asyncio.shield(coming)
        except asyncio.CancelledError:
            self._coming.append((threads, coming))
            raise

    async def _make(self, threads: int) -> WorkerHandle:
        actor = await self._thread.run(lambda: self._actor.remote(threads))
        worker = RayWorker(actor, threads, self._thread)
        try:
            worker.pid = await worker.call("pid")
            await self._thread.run(self._note_processes)
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def give_back(self, worker: WorkerHandle, *, usable: bool) -> None:
        if usable and len(self._idle) < self._cpus:
            self._idle.append(worker)
            return
        await worker.kill()
        self._warm_up(worker.threads)

    def _warm_up(self, threads: int) -> None:
        """Have a worker ready before it is asked for; whoever takes it hears when it could not be made."""
        task = asyncio.create_task(self._make(threads), name="warm up a worker")
        task.add_done_callback(_seen)
        self._coming.append((threads, task))

    def _note_processes(self) -> None:
        self._processes.write(self._rays_processes())

    def _raylet_lives(self) -> bool:
        """While Ray starts: afterwards `watch` knows."""
        return not self._stopping and any(_is_called("raylet", process) for process in self._rays_processes())

    def _rays_processes(self) -> list[psutil.Process]:
        """Ray's own processes, which are this process's children, and the workers, which are theirs."""
        found: list[psutil.Process] = []
        for child in psutil.Process().children():
            try:
                if any(str(self._temporary) in argument for argument in child.cmdline()):
                    found += [child, *child.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found

    async def stop(self) -> None:
        """End Ray and remove its files. Nothing is waited for: a job in the middle is run again."""
        self._stopping = True
        coming = [task for _, task in self._coming]
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        if self._head and all(_runs(process) for process in self._head):
            await self._thread.run(self._shut_down)
        await asyncio.to_thread(self._clean_up)

    def _shut_down(self) -> None:
        import ray

        ray.shutdown()

    def _clean_up(self) -> None:
        """Also when Ray is only half started."""
        end(self._rays_processes())
        self._processes.end_all()
        shutil.rmtree(self._temporary, ignore_errors=True)


class RayWorker:
    """One actor and its process."""

    def __init__(self, actor: Any, threads: int, thread: OwnThread) -> None:
        self._actor, self.threads, self._thread = actor, threads, thread
        self.pid = 0

    async def machine(self) -> Machine:
        found: Machine = await self.call("machine")
        return found

    async def check(self, assignment: Assignment) -> Checked:
        found: Checked = await self.call("check", assignment)
        return found

    async def run(self, assignment: Assignment) -> Outcome:
        found: Outcome = await self.call("run", assignment)
        return found

    async def call(self, method: str, *arguments: object) -> Any:
        import ray.exceptions

        try:
            reference = await self._thread.run(lambda: getattr(self._actor, method).remote(*arguments))
            answer = asyncio.wrap_future(reference.future())
            # Ray sets the answer also when nobody waits for it any more.
            answer.add_done_callback(_seen)
            return await asyncio.shield(answer)
        except ray.exceptions.RayTaskError as error:
            raise WorkerLost(f"the worker failed in {method}: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise WorkerLost(f"the worker process {self.pid or ''} is gone") from error

    async def kill(self) -> None:
        """SIGKILL, which reaches a process that is busy in native code too; its children go with it."""
        import ray

        await asyncio.to_thread(self._end_process)
        await self._thread.run(lambda: ray.kill(self._actor))

    def _end_process(self) -> None:
        if self.pid:
            try:
                end([psutil.Process(self.pid)])
            except psutil.NoSuchProcess:
                return


def _seen(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()


def _is_called(name: str, process: psutil.Process) -> bool:
    try:
        return bool(process.name() == name)
    except psutil.NoSuchProcess:
        return False


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def temporary_folder(folder: Path) -> Path:
    """Where Ray keeps its sockets: below `folder`, or a short one under /tmp when that is too long."""
    own = folder.absolute() / "ray"
    if len(os.fsencode(own)) <= LONGEST_FOLDER:
        return own
    digest = hashlib.sha256(os.fsencode(own)).hexdigest()[:12]
    return SHORT_FOLDERS / f"{SHORT_NAME}{digest}"
