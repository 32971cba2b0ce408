"""Monitoring in this process or as one that can be killed, with the world around it, and a person who calls it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.privacy.masters import new_master_key
from modelog_common.rpc.client import connect
from modelog_common.rpc.errors import DeadlineExceeded
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_common.service import Host
from modelog_monitoring.app import build
from modelog_monitoring.events import EVENTS
from modelog_proto.common.v1 import common_pb2
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from modelog_proto.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceStub
from modelog_proto.training.v1 import training_pb2
from monitoring_streams import TENANT, Streams, reference_table
from monitoring_world import World

PATIENCE_S = 150


@dataclass
class Hook:
    """A webhook receiver: what it was sent, and the statuses that it answers with before it takes anything."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        if self.refusals:
            return web.Response(status=self.refusals.pop(0), text=f"not now, {request.url}")
        self.bodies.append({"path": request.path, **await request.json()})
        self.keys.append(request.headers["Idempotency-Key"])
        return web.Response(text="ok")

    @property
    def once(self) -> dict[str, dict[str, Any]]:
        """What came, by its key: where a process ended before it wrote down that it had sent one, that comes again."""
        return dict(zip(self.keys, self.bodies, strict=True))


@dataclass
class Bench:
    """Everything that a test of monitoring needs."""

    folder: Path
    world: World
    streams: Streams
    hook: Hook
    settings: Settings
    token: Callable[..., str]
    channel: Any = None
    address: str = ""

    @property
    def calls(self) -> Any:
        return MonitoringServiceStub(self.channel)

    @property
    def admin(self) -> Any:
        return AdminServiceStub(self.channel)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def talk_to(self, address: str) -> None:
        self.address = address
        self.channel = connect(address, self.token("alice", ("developer", "admin")), deadline_s=PATIENCE_S)

    @asynccontextmanager
    async def monitoring(self) -> AsyncIterator[Bench]:
        """Monitoring in this process, from the folder as it is."""
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with Host("monitoring", self.settings) as host:
            await build(host)
            task = asyncio.create_task(host.run(ready.set_result))
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
            if task.done():
                task.result()
            self.talk_to(f"127.0.0.1:{ready.result()}")
            try:
                yield self
            finally:
                await self.channel.close()
                host.stop()
                await task

    async def create_monitor(self, **fields: Any) -> Any:
        whole: dict[str, Any] = {
            "name": "flights",
            "deployment": "flights",
            "reference": [common_pb2.DatasetRef(dataset="flights", version=1)],
            "label_column": "late",
            "window": pb.WINDOW_UNIT_HOUR,
            "allowed_lateness_s": 1800,
            "channels": [
                pb.AlertChannel(kind=pb.CHANNEL_KIND_WEBHOOK, url=f"{self.hook.url}/plain"),
                pb.AlertChannel(kind=pb.CHANNEL_KIND_SLACK, url=f"{self.hook.url}/slack"),
            ],
            "reference_auc": 0.9,
            "reference_log_loss": 0.4,
        }
        return await self.calls.CreateMonitor(pb.CreateMonitorRequest(**{**whole, **fields}))

    async def create_policy(self, **fields: Any) -> Any:
        whole: dict[str, Any] = {
            "name": "retrain",
            "monitor": "flights",
            "on_quality": True,
            "job": training_pb2.JobSpec(name="fit", experiment="delays", entry_point="flights.train:main"),
            "dataset": "flights",
            "evaluation_rows": 1500,
            "canary_percent": 20,
            "canary_rows": 400,
        }
        return await self.calls.CreateRetrainingPolicy(pb.CreateRetrainingPolicyRequest(**{**whole, **fields}))

    async def windows(self) -> Any:
        return (await self.calls.ListWindows(pb.ListWindowsRequest(monitor="flights"))).windows

    async def retrainings(self) -> Any:
        return (await self.calls.ListRetrainings(pb.ListRetrainingsRequest())).retrainings

    async def state(self) -> int:
        """The state of the first retraining, 0 when there is none."""
        found = await self.retrainings()
        return int(found[0].state) if found else 0

    async def until_state(self, state: int) -> Any:
        """Wait until the first retraining is there; returns it."""
        name = pb.RetrainingState.Name(state)

        async def reached() -> bool:
            try:
                return await self.state() == state
            except DeadlineExceeded:
                # A busy machine took its time with one question: it is asked again.
                return False

        await self.until(reached, f"the retraining is {name}", lambda: f"retrainings: {self.world.done}")
        return (await self.retrainings())[0]

    async def until_windows(self, count: int) -> Any:
        """Wait until so many windows are evaluated; returns them."""

        async def reached() -> bool:
            return len(await self.windows()) >= count

        await self.until(reached, f"{count} windows are evaluated")
        return await self.windows()

    async def until_counted(self, rows: int) -> Any:
        """Wait until the monitor has counted so many predictions and outcomes, which come by topics of their own."""
        found = pb.Monitor()

        async def reached() -> bool:
            found.CopyFrom(await self.calls.GetMonitor(pb.GetMonitorRequest(name="flights")))
            return min(found.predictions, found.outcomes) >= rows

        await self.until(reached, f"{rows} predictions and outcomes are counted", lambda: str(found))
        assert (found.predictions, found.outcomes) == (rows, rows)
        return found

    async def until(
        self, condition: Callable[[], Awaitable[bool]], what: str, told: Callable[[], str] = lambda: ""
    ) -> None:
        """Wait for a condition; fails with `what` when it does not come true."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"not in {PATIENCE_S} s: {what}. {told()}")

    async def events(self) -> list[Any]:
        """Everything that monitoring has written."""
        store = await SqliteEventStore.open(self.settings.event_store_path())
        try:
            return [EVENTS.decode(e.type, e.schema, e.payload) async for e in store.read_all()]
        finally:
            await store.close()


@pytest.fixture
def world() -> World:
    made = World()
    for label in ("2013-03-31T23", "2013-04-01T00", "2013-04-01T01", "2013-04-01T09"):
        made.add_dataset("flights", label, reference_table())
    return made


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """A webhook receiver on a real HTTP server."""
    made = Hook()
    app = web.Application()
    app.router.add_post("/{path}", made.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def bench(tmp_path: Path, fresh_broker: Any, world: World, hook: Hook) -> AsyncIterator[Bench]:
    """A folder with keys, a broker, and the world; nothing runs yet."""
    keys = tmp_path / "keys"
    signer = TokenSigner(create_key_pair(keys / "signing.pem", keys / "public.pem"), SystemClock())

    def token(user: str, roles: Iterable[str], tenant: str = TENANT) -> str:
        return signer.sign(Identity(user, tenant, frozenset(roles)), timedelta(hours=1))

    write_secret(keys / "master.key", new_master_key().encode())
    (keys / "service.token").write_text(token("service:monitoring", ["service"]))
    server, address = await world.serve()
    settings = Settings(
        data_dir=tmp_path,
        kafka_bootstrap=fresh_broker.bootstrap,
        peers=dict.fromkeys(("registry", "training", "serving", "serving_oip"), address),
        webhook_networks="127.0.0.0/8",
    )
    yield Bench(tmp_path, world, Streams(fresh_broker.bootstrap, world), hook, settings, token)
    await server.stop(None)


class Process:
    """Monitoring as an operating-system process on a port of its own, to be killed and started again."""

    def __init__(self, bench: Bench, port: int) -> None:
        self.bench, self.port = bench, port
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until calls are answered."""
        self.spawn()
        address = f"127.0.0.1:{self.port}"
        async with asyncio.timeout(PATIENCE_S):
            async with grpc.aio.insecure_channel(address) as channel:
                await channel.channel_ready()
        if self.bench.channel is None:
            self.bench.talk_to(address)

    def spawn(self) -> None:
        """Start it."""
        settings = self.bench.settings
        environment = {
            "MODELOG_DATA_DIR": str(settings.data_dir),
            "MODELOG_GRPC_PORT": str(self.port),
            "MODELOG_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "MODELOG_PEERS": json.dumps(settings.peers),
            "MODELOG_WEBHOOK_NETWORKS": settings.webhook_networks,
        }
        with (self.bench.folder / "monitoring.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelog_monitoring"], env={**os.environ, **environment}, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def runs(self) -> bool:
        return self._process is not None

    def log(self) -> str:
        return (self.bench.folder / "monitoring.log").read_text()

    async def restart(self) -> None:
        self.kill()
        await self.start()


@pytest.fixture
async def process(bench: Bench) -> AsyncIterator[Process]:
    """Monitoring as a process; it has been started, and is ended with the test."""
    from modelog_platform.parts.ports import free_port

    made = Process(bench, free_port())
    await made.start()
    yield made
    await bench.channel.close()
    made.kill()
