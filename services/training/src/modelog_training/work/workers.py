"""The port to whatever gives processes to run jobs in."""

from __future__ import annotations

from typing import Protocol

from modelog_training.work.assignment import Assignment, Checked, Machine, Outcome


class WorkerLost(Exception):
    """The worker's process is gone, or cannot be had; the text says what is known about it."""


class WorkerHandle(Protocol):
    """One process, for one job at a time. Each method raises WorkerLost when the process goes away."""

    @property
    def threads(self) -> int:
        """How many threads its libraries use."""
        ...

    async def machine(self) -> Machine: ...

    async def check(self, assignment: Assignment) -> Checked: ...

    async def run(self, assignment: Assignment) -> Outcome: ...

    async def kill(self) -> None:
        """End the process and its children at once; what waits for them gets WorkerLost."""
        ...


class Workers(Protocol):
    """Gives out workers."""

    async def start(self) -> None:
        """Make ready to give out workers; ends what an earlier incarnation left behind."""
        ...

    async def watch(self) -> None:
        """Wait, after the start, until no worker can be had any more; raises Unavailable, which says why."""
        ...

    async def take(self, threads: int) -> WorkerHandle:
        """A worker whose libraries use this many threads; raises WorkerLost when none can be had."""
        ...

    async def give_back(self, worker: WorkerHandle, *, usable: bool) -> None:
        """The job is over; a worker that is not usable again is ended and replaced."""
        ...

    async def stop(self) -> None:
        """End all processes."""
        ...
