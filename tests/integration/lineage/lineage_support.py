"""What the lineage tests share: a graph server, the events of other services, the service itself."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.bus.relay import Relay
from modelog_common.bus.topics import EVENTS
from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.ids import derived_id, uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_common.rpc.client import connect
from modelog_common.rpc.server import GrpcServer
from modelog_common.security.keys import create_key_pair
from modelog_common.security.tokens import Identity, TokenSigner, TokenVerifier
from modelog_common.service import Host
from modelog_common.stores.graph.bolt import BoltGraph
from modelog_lineage.app import build
from modelog_platform.parts.ports import free_port
from modelog_proto.common.v1 import common_pb2
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.lineage.v1 import lineage_pb2 as pb
from modelog_proto.lineage.v1.lineage_pb2_grpc import AuditServiceStub, LineageServiceStub
from modelog_proto.serving.v1.deployment_pb2_grpc import add_DeploymentServiceServicer_to_server

# Only a test that fails waits so long: a Neo4j that has just started plans its first queries for a while.
PATIENCE_S = 120.0
PASSWORD = "correct horse battery"
TENANT = "acme"
CATEGORIES = {
    "registry": ["registry.model", "registry.run", "registry.experiment", "registry.dataset"],
    "training": ["training.job"],
    "serving": ["serving.deployment"],
    "monitoring": ["monitoring.monitor", "monitoring.policy", "monitoring.retraining"],
    "gateway": ["gateway.user"],
}


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not in {timeout_s:g} s: {what}")
        await asyncio.sleep(0.02)


class GraphServer:
    """ArcadeDB in a process of its own, which a test may kill and start again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"bolt://127.0.0.1:{self.port}"
        self.user, self.password = "root", PASSWORD
        self._folder, self._starts = folder, 0
        (folder / "password").write_text(PASSWORD)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, empty: bool = False) -> None:
        """Start it, with the data that it had or with none."""
        self._starts += int(empty)
        command = [
            sys.executable, "-m", "modelog_platform.parts.graph", "--port", str(self.port),
            "--data", str(self._folder / f"graph-{self._starts}"), "--password-file", str(self._folder / "password"),
        ]  # fmt: skip
        with (self._folder / "graph.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), (self._folder / "graph.log").read_text()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


class RunningGraph(Protocol):
    """A graph server that a test may kill and start again: ArcadeDB, or Neo4j in tests/servers."""

    @property
    def uri(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def password(self) -> str: ...

    def start(self, *, empty: bool = False) -> None: ...

    def kill(self) -> None: ...


def connected(server: RunningGraph) -> BoltGraph:
    """A connection of the test's own to a graph server."""
    return BoltGraph(server.uri, server.user, server.password)


def graph_settings(server: RunningGraph) -> dict[str, str]:
    """What a service is told of a graph server."""
    return {"graph_uri": server.uri, "graph_user": server.user, "graph_password": server.password}


class Log:
    """An event store that the events of other services are appended to, and their relays."""

    def __init__(self, store: SqliteEventStore) -> None:
        self.store = store

    async def append(self, kind: str, entity: str, *, tenant: str = TENANT, **payload: Any) -> int:
        """One event, such as "registry.model/VersionPromoted"; returns its position."""
        category, name = kind.split("/")
        service = category.partition(".")[0]
        body = json.dumps(payload).encode()
        event = NewEvent(str(uuid7()), f"{service}.{name}", 1, body, tenant, "alice", "c1", "", "t1")
        return (await self.store.append(f"{category}-{derived_id(tenant, entity)}", [event])).position

    async def recorded_at(self, position: int) -> datetime:
        """When the event at a position was recorded."""
        async for event in self.store.read_all(after=position - 1, until=position):
            return event.recorded_at
        raise LookupError(position)

    @asynccontextmanager
    async def relayed(self, bootstrap: str, services: Iterable[str] = CATEGORIES) -> AsyncIterator[None]:
        """Publish the events of these services for the length of a block."""
        tasks = []
        for service in services:
            progress = SqliteRelayProgress(self.store.path.with_name(f"{service}-relay.db"))
            relay = Relay(
                self.store, service, CATEGORIES[service], EVENTS[service], KafkaBroker(bootstrap), progress, lease_s=1.0
            )
            tasks.append(asyncio.create_task(relay.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def tell_story(log: Log) -> dict[str, int]:
    """From raw data to a canary, as the services tell it; returns the positions of its turning points."""
    at: dict[str, int] = {}
    await log.append("gateway.user/UserCreated", "alice", name="alice", roles=["developer"], by="admin", at="x")
    for month in (1, 2):
        await log.append(
            "registry.dataset/DatasetVersionRegistered", "flights", dataset="flights", version=month,
            label=f"2013-{month:02}", digest=f"d{month}", size_bytes=10, rows=27004, columns=[{"name": "hour"}],
            author="alice",
        )  # fmt: skip
    await log.append("registry.experiment/ExperimentCreated", "delays", name="delays", author="alice")
    both = [{"dataset": "flights", "version": 1, "digest": "d1"}, {"dataset": "flights", "version": 2, "digest": "d2"}]
    await log.append(
        "training.job/JobSubmitted", "j1", job_id="j1", name="fit", experiment="delays", entry_point="flights:train",
        datasets=both, author="alice", git_commit="abc", git_dirty=False,
    )  # fmt: skip
    await log.append("training.job/JobStarted", "j1", job_id="j1", attempt=1, fence=1)
    await log.append(
        "registry.run/RunStarted", "r1", run_id="r1", experiment="delays", name="fit", author="alice",
        parameters={"max_depth": 6}, datasets=both, environment={"python": "3.11", "git_commit": "abc"}, tags={},
    )  # fmt: skip
    await log.append("training.job/RunLinked", "j1", job_id="j1", attempt=1, run_id="r1")
    await log.append("registry.run/RunEnded", "r1", run_id="r1", status="completed", error="")
    await log.append("training.job/JobSucceeded", "j1", job_id="j1", attempt=1, run_id="r1", model="flight-delay")
    await log.append("registry.model/ModelRegistered", "flight-delay", name="flight-delay", author="alice")
    at["registered"] = await _version(log, "1.0.0", "r1", both)
    at["approved"] = await log.append(
        "registry.model/VersionReviewed", "flight-delay", model="flight-delay", version="1.0.0", reviewer="bob",
        decision="approved", comment="fine", evidence={"auc": 0.73}, approval_id="a1",
    )  # fmt: skip
    at["promoted"] = await log.append(
        "registry.model/VersionPromoted", "flight-delay", model="flight-delay", version="1.0.0",
        from_stage="staging", to_stage="production", approval_id="a1", reason="good", by="alice",
    )  # fmt: skip
    at["deployed"] = await log.append(
        "serving.deployment/DeploymentCreated", "live", name="live", model="flight-delay", environment="production",
        author="alice", version="1.0.0",
    )  # fmt: skip
    await log.append("monitoring.monitor/MonitorCreated", "watch", name="watch", deployment="live", author="alice")
    await log.append(
        "monitoring.monitor/WindowEvaluated", "watch", monitor="watch", window_id="w1", label="2013-06",
        predictions=100, labelled=90, drifted_features=3, drift_alert=True, quality_alert=True,
    )  # fmt: skip
    await log.append(
        "monitoring.retraining/RetrainingStarted", "rt1", retraining_id="rt1", policy="monthly", monitor="watch",
        window_id="w1", model="flight-delay", champion="1.0.0", job_id="j2",
    )  # fmt: skip
    await log.append("training.job/JobSubmitted", "j2", job_id="j2", name="refit", datasets=both, author="monitoring")
    await log.append("registry.run/RunStarted", "r2", run_id="r2", experiment="delays", name="refit", datasets=both)
    await log.append("training.job/RunLinked", "j2", job_id="j2", attempt=1, run_id="r2")
    at["challenged"] = await _version(log, "1.1.0", "r2", both)
    at["canary"] = await log.append(
        "serving.deployment/TrafficSet", "live", name="live", model="flight-delay",
        shares=[{"version": "1.0.0", "percent": 90}, {"version": "1.1.0", "percent": 10}], reason="canary", by="alice",
    )  # fmt: skip
    at["switched"] = await log.append(
        "serving.deployment/TrafficSet", "live", name="live", model="flight-delay",
        shares=[{"version": "1.1.0", "percent": 100}], reason="won", by="alice",
    )  # fmt: skip
    at["archived"] = await log.append(
        "registry.model/VersionPromoted", "flight-delay", model="flight-delay", version="1.0.0",
        from_stage="production", to_stage="archived", approval_id="", reason="replaced", by="alice",
    )  # fmt: skip
    return at


async def _version(log: Log, version: str, run_id: str, datasets: list[dict[str, Any]]) -> int:
    return await log.append(
        "registry.model/VersionRegistered", "flight-delay", model="flight-delay", version=version, author="alice",
        description="", run_id=run_id, datasets=datasets, flavor="xgboost", metrics={"auc": 0.73},
        artifact={"path": "m", "digest": f"digest-{version}", "size_bytes": 10}, tags={},
    )  # fmt: skip


class Person:
    """Somebody's stubs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.lineage: Any = LineageServiceStub(channel)
        self.audit: Any = AuditServiceStub(channel)
        self.admin: Any = AdminServiceStub(channel)

    async def trace(self, node: str, *, as_of: object = "", at_least: int = 0, **more: Any) -> pb.Graph:
        read = common_pb2.ReadOptions(as_of=str(as_of), at_least=at_least)
        asked = pb.TraceRequest(node=node, read=read, **more)
        answer: pb.Graph = await self.lineage.Trace(asked)
        return answer

    async def projection(self, name: str) -> common_pb2.ProjectionStatus:
        status = await self.admin.GetStatus(common_pb2.GetStatusRequest())
        return next(p for p in status.projections if p.name == name)


class Place:
    """A service's folder with its keys and settings, and the people who may call it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.address = folder, ""
        keys = folder / "keys"
        self.signer = TokenSigner(create_key_pair(keys / "signing.pem", keys / "public.pem"), SystemClock())
        self.verifier = TokenVerifier.from_file(keys / "public.pem", SystemClock())
        (keys / "service.token").write_text(self.token("lineage", ["service"]))
        self.settings = Settings(data_dir=folder, **settings)
        self._channels: list[grpc.aio.Channel] = []

    def token(self, user: str, roles: Iterable[str], tenant: str = TENANT) -> str:
        return self.signer.sign(Identity(user, tenant, frozenset(roles)), timedelta(hours=1))

    def person(self, user: str = "alice", tenant: str = TENANT, roles: Iterable[str] = ("admin",)) -> Person:
        channel = connect(self.address, self.token(user, roles, tenant), attempts=1, deadline_s=PATIENCE_S)
        self._channels.append(channel)
        return Person(channel)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        self._channels.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Host]:
        """The service, answering, in this process."""
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with Host("lineage", self.settings) as host:
            await build(host)
            task = asyncio.create_task(host.run(ready.set_result))
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
            if task.done():
                task.result()
            self.address = f"127.0.0.1:{ready.result()}"
            try:
                yield host
            finally:
                await self.close()
                host.stop()
                await task


class LineageProcess(Place):
    """The service as an operating-system process, to be killed and started again."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self._told = settings
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import os

        told = {f"MODELOG_{name.upper()}": str(value) for name, value in self._told.items()}
        told |= {"MODELOG_DATA_DIR": str(self.folder), "MODELOG_GRPC_PORT": str(self.port)}
        with (self.folder / "lineage.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelog_lineage"], env={**os.environ, **told}, stdout=log, stderr=log
            )

    async def ready(self) -> None:
        """Wait until calls are answered."""
        async with asyncio.timeout(PATIENCE_S), grpc.aio.insecure_channel(self.address) as channel:
            await channel.channel_ready()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(PATIENCE_S)
        self._process = None
        return status


@asynccontextmanager
async def serving_peer(servicer: object, verifier: TokenVerifier) -> AsyncIterator[str]:
    """A server that answers the serving service's contract; gives its address."""
    server = GrpcServer("127.0.0.1", 0, verifier)
    server.add(add_DeploymentServiceServicer_to_server, servicer, "modelog.serving.v1.DeploymentService")
    yield f"127.0.0.1:{await server.start()}"
    await server.stop(0)
