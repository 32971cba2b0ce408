"""What every service process is: its core parts, started in order, run under one task group, drained on SIGTERM.

A service's app.py hands `build(host)` to `main`; the host gives it the event store, the read tables and its peers, and
takes from it servicers, projections and background work.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import grpc.aio
import structlog
import uvloop
from sqlalchemy import MetaData

from modelog_common import compiled
from modelog_common.adapters import (
    open_data_broker,
    open_dead_letters,
    open_event_bus,
    open_event_store,
    open_read_tables,
    open_relay_progress,
    open_snapshots,
    open_subjects,
)
from modelog_common.background import Background, Work
from modelog_common.bus.relay import Relay
from modelog_common.bus.topics import EVENTS
from modelog_common.config import Settings, load_settings
from modelog_common.domain.clock import Clock, SystemClock
from modelog_common.domain.errors import ModelogError, NotFound, Unavailable, first_of
from modelog_common.events.store import EventStore
from modelog_common.lockfile import LockHeld, take_lock
from modelog_common.read.project import Projection, Projector
from modelog_common.read.queries import Queries, Seen
from modelog_common.rpc.admin import AdminServicer, add_admin
from modelog_common.rpc.client import connect
from modelog_common.rpc.pipeline import Guard
from modelog_common.rpc.server import GrpcServer
from modelog_common.rpc.sight import Sight
from modelog_common.rpc.transport import tls_of
from modelog_common.security.tokens import TokenVerifier
from modelog_common.telemetry import logs, metrics, traces

VERSION = "0.1.0"
LOCK_FILE = "lock"
# A process that is drained or killed may need a moment to let go.
LOCK_TIMEOUT_S = 5.0
StreamProgressOf = Callable[[str, str, str], Awaitable[int]]
log = structlog.get_logger()


class Rebuildable(Protocol):
    """A projection outside the read tables, such as a graph: it can be dropped and built again from the log."""

    @property
    def position(self) -> int: ...

    @property
    def error(self) -> str: ...

    async def rebuild(self) -> int:
        """Drop everything and fold the log again; returns the position reached."""
        ...


class Stream(Protocol):
    """A publisher or a consumer of topics."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    def lags(self) -> Mapping[str, int]:
        """How far behind, by kind of topic."""
        ...


class Host:
    """One service process. Use `async with`; then `run()` until it is told to stop."""

    def __init__(self, name: str, settings: Settings, clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.data_dir: Path = settings.data_dir / name
        self.endpoints: dict[str, str] = {}
        self._token = settings.service_token()
        self._verifier = TokenVerifier.from_file(settings.public_key_file, self.clock)
        self._store: EventStore | None = None
        self._engines: list[Any] = []
        self._projections: dict[str, Rebuildable] = {}
        self._categories: list[str] = []
        self._background = Background()
        self._before: list[Work] = []
        self._on_stop: list[Work] = []
        self._on_close: list[Work] = []
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._streams: list[Stream] = []
        self.event_bus = open_event_bus(settings)
        self.data_broker = open_data_broker(settings)
        self.dead_letters = open_dead_letters(settings, name, self.clock)
        self._progress: StreamProgressOf = _no_streams
        self._controlled = True
        self._stop = asyncio.Event()
        self.snapshots = open_snapshots(settings, name)
        self.subjects = open_subjects(settings)
        self.tls = tls_of(settings)
        self.server = GrpcServer(
            settings.service_host,
            settings.grpc_port,
            self._verifier,
            edge=settings.grpc_edge,
            tls=self.tls,
            connections=settings.connections,
        )

    def own_process(self) -> None:
        """This service is all that the process does: it is ended by force when work that should end does not."""
        self._background.owns_process = True

    def without_control(self) -> None:
        """Another process is what this one's service is asked at: it has no control port."""
        self._controlled = False

    @property
    def verifier(self) -> TokenVerifier:
        return self._verifier

    @property
    def token(self) -> str:
        """The service's own token."""
        return self._token

    @property
    def store(self) -> EventStore:
        if self._store is None:
            raise RuntimeError("the event store is opened by `async with host`")
        return self._store

    def project(
        self,
        tables: MetaData,
        projections: Sequence[Projection],
        name: str = "tables",
        seen: Seen | None = None,
        rest_s: float = 0.0,
    ) -> Queries:
        """Keep read tables up to date with this service's own events; returns the queries over them.

        With `seen` they find only what the caller may see; events that come within `rest_s` are written together.
        """
        engine = open_read_tables(self.settings, self.name, name)
        projector = Projector(f"{self.name}.{name}", self.store, engine, tables, projections, rest_s)
        self._engines.append(engine)
        self._categories.extend(p.category for p in projections)
        self.rebuildable(name, projector)
        self.background(f"projector {name}", projector.run, before=projector.start)
        return Queries(self.store, engine, projector, seen)

    def publish(self, category: str) -> None:
        """Publish events of a category that fills no read table; those of `project` are published by themselves."""
        self._categories.append(category)

    def rebuildable(self, name: str, projection: Rebuildable) -> None:
        """Let `modelog rebuild` and the status know of a projection."""
        self._projections[name] = projection

    def serve(self, adder: Callable[[Any, Any], None], servicer: object, full_name: str) -> None:
        """Serve a gRPC servicer; `full_name` is the service's name in the proto, with its package."""
        self.server.add(adder, servicer, full_name)

    def guard(self, check: Guard) -> None:
        """Have every request checked, with the permission of its method, before its handler runs."""
        self.server.guard(check)

    def narrow(self, sight: Sight) -> None:
        """Keep from callers what is in workspaces that they may not look into."""
        self.server.guard(sight.check)
        self.server.veil(sight.left_of)

    def background(self, name: str, work: Work, *, before: Work | None = None) -> None:
        """Run `work` until the process stops; it must not return. `before` runs first, ahead of serving.

        Work that raises Unavailable is begun again; any other error of its ends the process.
        """
        self._background.add(name, work)
        if before is not None:
            self._before.append(before)

    def before_serving(self, work: Work) -> None:
        """Run once, before the first request."""
        self._before.append(work)

    def on_stop(self, work: Work) -> None:
        """Run when the process drains, last added first."""
        self._on_stop.append(work)

    def on_close(self, work: Work) -> None:
        """Run when everything has ended: for files and connections that background work uses to its end."""
        self._on_close.append(work)

    def peer(self, service: str) -> grpc.aio.Channel:
        """A channel to another service; calls carry the caller's token, or this service's own outside a call."""
        if service not in self._channels:
            address = self.settings.peers.get(service)
            if address is None:
                raise NotFound(f"MODELOG_PEERS names no address for {service}")
            self._channels[service] = connect(address, self._token, tls=self.tls, client=self.settings.grpc_client)
        return self._channels[service]

    def stream(self, stream: Stream) -> None:
        """Let the status know how far a publisher or a consumer is behind."""
        self._streams.append(stream)

    def stream_progress(self, of: StreamProgressOf) -> None:
        """Answer how far a data-plane producer's batches have been processed: (tenant, producer, kind) -> sequence."""
        self._progress = of

    async def __aenter__(self) -> Host:
        self._lock = await asyncio.to_thread(self._lock_folder)
        try:
            self._store = await open_event_store(self.settings, self.clock)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels.values():
            await channel.close()
        for work in reversed(self._on_close):
            await work()
        for engine in self._engines:
            await engine.dispose()
        await self.snapshots.close()
        await self.subjects.close()
        await self.dead_letters.close()
        await self.store.close()
        os.close(self._lock)

    def _lock_folder(self) -> int:
        """Two processes of one service would write the same tables: the second one must not run."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            return take_lock(self.data_dir / LOCK_FILE, LOCK_TIMEOUT_S)
        except LockHeld as held:
            raise Unavailable(
                f"{self.data_dir} is in use by another {self.name} service (process {held.holder}); stop that one, or "
                "give this one another MODELOG_DATA_DIR"
            ) from None
        except OSError as error:
            raise Unavailable(f"the folder {self.data_dir} cannot be used: {error.strerror or error}") from error

    def stop(self) -> None:
        """Begin to drain."""
        self._stop.set()

    async def draining(self) -> None:
        """Wait until the process begins to drain: answers that have no end of their own end then."""
        await self._stop.wait()

    async def run(self, started: Callable[[int], None] | None = None) -> None:
        """Serve until `stop`; `started` is called with the gRPC port once requests are answered."""
        self._add_relay()
        if self.tls is not None:
            self.background("renewed certificates", self.tls.renewals.run)
        add_admin(self.server, self._admin())
        for work in self._before:
            await work()
        try:
            await self._work(started)
        finally:
            self._background.ended()

    async def _work(self, started: Callable[[int], None] | None) -> None:
        async with asyncio.TaskGroup() as group:
            self._background.start(group)
            port = await self.server.start() if self._controlled else 0
            if self._controlled:
                self.endpoints["grpc"] = f"{self.settings.service_host}:{port}"
            log.info("serving", grpc_port=port, compiled=compiled.in_use)
            if started is not None:
                started(port)
            await self._stop.wait()
            await self._drain()

    async def _drain(self) -> None:
        log.info("draining")
        if self._controlled:
            await self.server.stop(self.settings.drain_s)
        for work in reversed(self._on_stop):
            await work()
        self._background.cancel()

    def _add_relay(self) -> None:
        if self.event_bus is None or not self._categories:
            return
        progress = open_relay_progress(self.settings)
        relay = Relay(self.store, self.name, self._categories, EVENTS[self.name], self.event_bus, progress)
        self.stream(relay)
        self.background("relay", relay.run)

    def _admin(self) -> AdminServicer:
        return AdminServicer(
            service=self.name,
            version=VERSION,
            clock=self.clock,
            store_head=self.store.head,
            projections=lambda: [(n, p.position, p.error) for n, p in self._projections.items()],
            rebuild=self._rebuild,
            streams=lambda: [(s.name, kind, lag, s.state) for s in self._streams for kind, lag in s.lags().items()],
            dead=self.dead_letters,
            progress=self._progress,
            endpoints=self.endpoints,
        )

    async def _rebuild(self, names: Sequence[str]) -> None:
        unknown = [n for n in names if n not in self._projections]
        if unknown:
            raise NotFound(f"{self.name} has no projection {unknown[0]!r}; it has {', '.join(self._projections)}")
        for name in names or list(self._projections):
            await self._projections[name].rebuild()


async def _no_streams(tenant: str, producer: str, topic: str) -> int:
    raise NotFound(f"this service reads no topics {topic!r}")


def main(name: str, build: Callable[[Host], Awaitable[None]]) -> None:
    """Run a service until SIGTERM or SIGINT. Exit status 0 after a drain, 2 for wrong settings, 1 for anything else."""
    try:
        settings = load_settings()
    except ModelogError as error:
        sys.exit(_complain(name, error, 2))
    logs.configure(name, settings.log_level)
    traces.configure(name, settings.otlp_endpoint)
    metrics.configure(name, settings.otlp_endpoint)
    try:
        uvloop.run(_serve(name, settings, build))
    except* ModelogError as group:
        sys.exit(_complain(name, first_of(group), 1))


async def _serve(name: str, settings: Settings, build: Callable[[Host], Awaitable[None]]) -> None:
    async with Host(name, settings) as host:
        host.own_process()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, host.stop)
        await build(host)
        await host.run()


def _complain(name: str, error: BaseException, status: int) -> int:
    kind = "cannot start" if isinstance(error, Unavailable) else "stopped"
    print(f"modelog {name} {kind}: {error}", file=sys.stderr)
    return status
