"""The composition root of a worker: what answers, what follows, and what reports."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from functools import partial
from pathlib import Path

from modelog_common.config import Settings
from modelog_common.domain.errors import Unavailable
from modelog_common.service import Host

from modelog_serving.crew.duty import Duty
from modelog_serving.crew.frames import Begin, to_worker
from modelog_serving.crew.reports import Counted
from modelog_serving.plane import Plane, listen, plane_of
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.retention import Retention
from modelog_serving.settings import ServingSettings

NAME = "serving"
# A model that cannot be loaded, or takes long, does not keep a worker from answering for the others.
WARM_S = 60.0
# So long a worker answers on whose process that decides is gone: the next one wants the ports and the logs.
ALONE_S = 2.0


async def begun(link: socket.socket) -> tuple[Begin, asyncio.StreamReader, asyncio.StreamWriter]:
    """What a worker is told first; raises Unavailable when there is nobody."""
    link.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=link)
    begin = await to_worker(reader)
    if not isinstance(begin, Begin):
        raise Unavailable("the process that decides ended while this worker started")
    return begin, reader, writer


async def serve(begin: Begin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests until SIGTERM, or until the process that decides is gone."""
    async with Host(NAME, Settings(**begin.settings)) as host:
        host.own_process()
        host.without_control()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, host.stop)
        await _build(host, begin, reader, writer)
        await host.run()


async def _build(host: Host, begin: Begin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    own = ServingSettings(**begin.serving)
    log = await PredictionLog.open(Path(begin.log), host.clock, own.log_max_bytes)
    others = [Path(path) for path in begin.others]
    plane = plane_of(host, own, log, others, Path(begin.models), lambda *of: duty.record(*of))
    counted = Counted(plane.meter, plane.counters, plane.cache, plane.mirror, plane.guards)
    duty = Duty(reader, writer, plane.routes, plane.models, counted, partial(_alone, host))
    plane.models.tell(duty.failed)
    # It makes room when the log is full; whatever is old the process that decides drops.
    Retention(log, duty.published, host.clock, own.log_keep_s, own.log_max_bytes)
    host.before_serving(plane.routes.catch_up)
    host.before_serving(partial(_warm, plane))
    host.before_serving(duty.come_up)
    # Before the listeners are added, so that it is done when they have stopped.
    host.on_stop(duty.finish)
    listen(host, plane, duty.asking, shared=True)
    host.before_serving(duty.begin)
    host.background("orders", duty.run)
    host.background("reports", duty.report)
    host.background("routes", plane.routes.run)
    host.background("warm-up", plane.warmup.run)
    host.background("shadows", plane.mirror.run)
    host.background("circuit breakers", partial(plane.guards.run, plane.routes))
    host.background("answer cache", partial(plane.cache.run, plane.routes))
    host.background("resources", partial(_held, plane))


async def _warm(plane: Plane) -> None:
    """Have all models in memory that answer traffic, but do not wait for ever."""
    try:
        async with asyncio.timeout(WARM_S):
            await plane.warmup.load_all()
    except TimeoutError:
        return


def _alone(host: Host) -> None:
    """What was answered is in the log, however this process ends."""
    host.stop()
    asyncio.get_running_loop().call_later(ALONE_S, os._exit, 1)


async def _held(plane: Plane) -> None:
    """Keep what background work uses until that work ends, then close it."""
    try:
        await asyncio.Event().wait()
    finally:
        for close in (plane.batcher.close, plane.models.close, plane.log.close, plane.cache.close):
            await close()
