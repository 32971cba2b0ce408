"""The six services with a broker, a graph and workers, in this process: everything but Ray."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import modelog_training.app
from modelog_common.service import Host
from modelog_training.work.worker import Worker
from modelog_training.work.workers import WorkerLost
from small_platform import BUILDERS, SmallPlatform


def work(threads: int, method: str, *arguments: Any) -> Any:
    """One call of a worker, in the worker's process."""
    return getattr(Worker(threads), method)(*arguments)


class PoolWorker:
    """The port WorkerHandle over a process of its own."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    async def machine(self) -> Any:
        return await self._call("machine")

    async def check(self, assignment: Any) -> Any:
        return await self._call("check", assignment)

    async def run(self, assignment: Any) -> Any:
        return await self._call("run", assignment)

    async def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, self.threads, method, *arguments)
        except (BrokenProcessPool, RuntimeError) as error:
            raise WorkerLost(f"the process is gone: {error}") from error

    async def kill(self) -> None:
        # A pool that was shut down has no processes: it may be killed when it is given back, and once more at the end.
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)


class PoolWorkers:
    """The port Workers: one process, which does one job after another."""

    def __init__(self, _folder: Path, _cpus: int) -> None:
        self._made: list[PoolWorker] = []
        self._idle: list[PoolWorker] = []

    async def start(self) -> None:
        """Nothing to make ready."""

    async def watch(self) -> None:
        await asyncio.Event().wait()

    async def take(self, threads: int) -> PoolWorker:
        if self._idle:
            return self._idle.pop()
        worker = PoolWorker(threads)
        self._made.append(worker)
        return worker

    async def give_back(self, worker: PoolWorker, *, usable: bool) -> None:
        if usable:
            self._idle.append(worker)
        else:
            await worker.kill()

    async def stop(self) -> None:
        for worker in self._made:
            await worker.kill()


async def build_training(host: Host) -> None:
    """Training with its real runner, over workers that start at once."""
    ray, modelog_training.app.RayWorkers = modelog_training.app.RayWorkers, PoolWorkers  # type: ignore[misc,assignment]
    try:
        await modelog_training.app.build(host)
    finally:
        modelog_training.app.RayWorkers = ray  # type: ignore[misc]


@contextmanager
def whole_platform(folder: Path, **settings: Any) -> Iterator[SmallPlatform]:
    """All of it, for the length of a block; the settings name the broker and the stores."""
    settings = {"webhook_networks": "127.0.0.0/8", **settings}
    platform = SmallPlatform(folder, BUILDERS | {"training": build_training}, **settings)
    # Traffic is measured in seconds here, which nobody has to wait for long.
    with patch.dict(os.environ, MODELOG_SERVING_TRAFFIC_WINDOW_S="1"):
        platform.start()
    try:
        yield platform
    finally:
        platform.stop()
