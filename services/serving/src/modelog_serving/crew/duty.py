"""What a worker does besides answering: it follows what it is told, and reports what it counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from modelog_common.domain.errors import ModelogError, Unavailable

from modelog_serving.crew.asking import Asking
from modelog_serving.crew.frames import (
    Admit,
    Copied,
    Done,
    Drop,
    Failed,
    Follow,
    FromWorker,
    Listening,
    Load,
    Opened,
    Published,
    Rest,
    Shut,
    Sums,
    Warm,
    done,
    frame,
    to_worker,
)  # fmt: skip
from modelog_serving.crew.reports import Counted, Reporter
from modelog_serving.engine.models import Models
from modelog_serving.failure.commands import FailureCommand, RecordClosed, RecordFailure, RecordOpened
from modelog_serving.oip.processes import OneProcess
from modelog_serving.routing.idle import rest
from modelog_serving.routing.routes import Routes

REPORT_S = 0.2
log = structlog.get_logger()


class Duty:
    """`come_up` before requests are answered, `begin` when they are, then `run` and `report` as tasks of their own;
    `finish` when no more come. `gone` is called when the process that decides is.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        routes: Routes,
        models: Models,
        counted: Counted,
        gone: Callable[[], None],
    ) -> None:
        self._reader, self._writer, self._gone = reader, writer, gone
        self._routes, self._models, self._mirror = routes, models, counted.mirror
        self._reporter = Reporter(counted)
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._here = OneProcess(routes, models, counted.meter, counted.counters)
        self.asking = Asking(self._say, self.finish)

    def published(self) -> int:
        """How far the prediction log was published, as far as is known here."""
        return self._sequence

    async def come_up(self) -> None:
        """Say that the models are in memory, and return when requests may be answered. Raises Unavailable when the
        process that decides is gone.
        """
        self._say(Warm())
        while True:
            match await to_worker(self._reader):
                case None:
                    raise Unavailable("the process that decides ended while this worker came up")
                case Admit(position):
                    await self._follow(position)
                    return
                case Copied() | Rest() | Published() as told:
                    self._take(told)
                case other:
                    raise Unavailable(f"a worker was told {type(other).__name__} before it was let in")

    async def begin(self) -> None:
        """Say that requests are answered."""
        self._say(Listening())

    async def run(self) -> None:
        """Do what is told until cancelled. A load takes as long as it takes, and nothing waits for it."""
        async with asyncio.TaskGroup() as tasks:
            while (told := await to_worker(self._reader)) is not None:
                match told:
                    case Load(number, ref):
                        tasks.create_task(self._answer(number, self._models.get(ref)))
                    case Drop(number, refs):
                        tasks.create_task(self._answer(number, self._here.drop(refs)))
                    case Done() | Sums():
                        self.asking.hear(told)
                    case Follow(number, position):
                        tasks.create_task(self._answer(number, self._follow(position)))
                    case Copied() | Rest() | Published():
                        self._take(told)
                    case other:
                        log.error("a worker was told what it does not know", told=type(other).__name__)
            log.warning("the process that decides is gone; this worker ends")
            self.asking.gone()
            self._gone()
            await asyncio.Event().wait()

    def _take(self, told: Copied | Rest | Published) -> None:
        """What needs no answer."""
        match told:
            case Copied(shadows):
                self._mirror.cast_all(dict(shadows))
            case Rest(deployments):
                rest(self._routes, self._models, deployments)
            case Published(sequence):
                self._sequence = sequence

    async def _answer(self, number: int, work: Awaitable[object]) -> None:
        try:
            await work
        except ModelogError as error:
            self._say(done(number, error))
        else:
            self._say(done(number))

    async def _follow(self, position: int) -> None:
        await self._routes.catch_up()
        if self._routes.position < position:
            raise Unavailable(f"the log ends at {self._routes.position} here, and was followed to {position}")

    async def report(self) -> None:
        """Report until cancelled."""
        while True:
            await asyncio.sleep(REPORT_S)
            await self.finish()

    async def finish(self) -> None:
        """Report what is not reported yet."""
        told = [one for one in (self._reporter.report(), self._reporter.breakers()) if one is not None]
        for one in told:
            self._say(one)
        if told:
            try:
                await self._writer.drain()
            except OSError:
                log.warning("the process that decides is gone, and hears no report")

    def failed(self, digest: str, cause: str, text: str) -> None:
        """The process of a model had to be replaced; from any thread."""
        self._loop.call_soon_threadsafe(self._say, Failed(digest, cause, text))

    def record(self, tenant: str, command: FailureCommand) -> None:
        """A circuit breaker opened or closed."""
        match command:
            case RecordOpened():
                self._say(Opened(tenant, command))
            case RecordClosed():
                self._say(Shut(tenant, command))
            case RecordFailure(model_digest=digest, cause=cause, text=text):
                self._say(Failed(digest, cause, text))

    def _say(self, message: FromWorker) -> None:
        if not self._writer.is_closing():
            self._writer.write(frame(message))
