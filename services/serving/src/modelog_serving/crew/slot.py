"""One worker as the process that decides knows it: its process, and what is said with it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

import msgspec
import structlog

from modelog_serving.crew.frames import (
    Admit,
    AskDrop,
    AskLoad,
    AskSums,
    Begin,
    Breakers,
    BreakerSeen,
    Done,
    Drop,
    Failed,
    Follow,
    FromWorker,
    Listening,
    Load,
    Opened,
    Report,
    Shut,
    ToWorker,
    Warm,
    frame,
    from_worker,
)  # fmt: skip
from modelog_serving.engine.models import ModelRef
from modelog_serving.failure.commands import FailureCommand
from modelog_serving.worker.ended import how

# One that does not say in this time that it follows the log hangs, and is ended: nothing is decided without it.
FOLLOW_S = 20.0
log = structlog.get_logger()
# What a worker asks for that concerns the others, too.
Ask = AskLoad | AskDrop | AskSums


class Chief(Protocol):
    """Whom a slot tells what its worker says."""

    def position(self) -> int:
        """How far the log was followed."""
        ...

    def reported(self, number: int, report: Report) -> None: ...

    def failed(self, digest: str, cause: str, text: str) -> None: ...

    def recorded(self, tenant: str, command: FailureCommand) -> None: ...

    def asked(self, slot: Slot, ask: Ask) -> None: ...

    def welcome(self, number: int) -> list[ToWorker]:
        """What a worker that is let in should know besides the log."""
        ...


class Slot:
    """A place that one worker process at a time is in, while it is `wanted`; `listening` says that it answers."""

    def __init__(self, number: int, begin: Begin, chief: Chief) -> None:
        self.number, self._begin, self._chief = number, begin, chief
        self.listening, self.wanted = asyncio.Event(), asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._admitted = False
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Done]] = {}
        # What the worker that is here now told of its circuit breakers, and when, by the loop's clock.
        self._breakers, self._told_s = Breakers(()), 0.0

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def breakers(self, deployment_id: str) -> list[BreakerSeen]:
        """The worker's circuit breakers of a deployment, as they are now; none where there is no worker."""
        passed_s = asyncio.get_running_loop().time() - self._told_s
        return [
            msgspec.structs.replace(seen, again_in_s=max(0.0, seen.again_in_s - passed_s))
            for seen in self._breakers.seen
            if seen.deployment_id == deployment_id
        ]

    async def live(self) -> str:
        """Start a worker, listen to it, and return how it ended."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "modelog_serving.crew", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        try:
            self._say(self._begin)
            while (said := await from_worker(reader)) is not None:
                self._hear(said)
            return how(await self._process.wait())
        finally:
            self._gone()
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._process = None

    def _gone(self) -> None:
        self.listening.clear()
        self._admitted = False
        self._breakers = Breakers(())
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for asked in self._asked.values():
            if not asked.done():
                # Nobody waits for one that is gone: whoever takes its place begins with what was decided.
                asked.set_result(Done(0))
        self._asked.clear()

    def _hear(self, said: FromWorker) -> None:
        match said:
            case Warm():
                # From here on nothing is decided that it does not follow.
                self._admitted = True
                for message in (*self._chief.welcome(self.number), Admit(self._chief.position())):
                    self._say(message)
            case Listening():
                self.listening.set()
            case Done(number=number):
                asked = self._asked.pop(number, None)
                if asked is not None and not asked.done():
                    asked.set_result(said)
            case Failed(digest, cause, text):
                self._chief.failed(digest, cause, text)
            case Opened(tenant, command) | Shut(tenant, command):
                self._chief.recorded(tenant, command)
            case AskLoad() | AskDrop() | AskSums():
                self._chief.asked(self, said)
            case Breakers():
                self._breakers, self._told_s = said, asyncio.get_running_loop().time()
            case Report():
                self._chief.reported(self.number, said)

    def _say(self, message: ToWorker) -> None:
        # A link whose other end is gone is closed a little before this side hears of it.
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frame(message))

    def tell(self, message: ToWorker) -> None:
        """Say something that needs no answer to a worker that was let in."""
        if self._admitted:
            self._say(message)

    async def load(self, ref: ModelRef) -> None:
        """Have a model in memory there; raises as `Models.get` does. Without a worker there is nothing to do."""
        done = await self._ask(lambda number: Load(number, ref))
        error = None if done is None else done.raised()
        if error is not None:
            raise error

    async def drop(self, refs: Sequence[ModelRef]) -> None:
        """Let go of models there that no traffic needs."""
        await self._ask(lambda number: Drop(number, tuple(refs)))

    async def follow(self, position: int) -> None:
        """Return when the worker answers by the log up to a position, or is gone: one that hangs is ended."""
        try:
            async with asyncio.timeout(FOLLOW_S):
                done = await self._ask(lambda number: Follow(number, position))
        except TimeoutError:
            log.error("a worker hangs, and is ended", worker=self.number, waited_s=FOLLOW_S)
            self.kill()
            return
        error = None if done is None else done.raised()
        if error is not None:
            log.error("a worker cannot follow the log, and is ended", worker=self.number, why=str(error))
            self.kill()

    async def _ask(self, made: Callable[[int], ToWorker]) -> Done | None:
        if not self._admitted:
            return None
        number = next(self._numbers)
        asked: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        try:
            self._say(made(number))
            return await asked
        finally:
            self._asked.pop(number, None)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def drain(self) -> None:
        """SIGTERM: it answers what it has, reports, and ends."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
