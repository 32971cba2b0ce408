"""A serving process and a registry with real models, in this process or as one that can be killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import xgboost
from modelog_common.config import Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.rpc.client import connect
from modelog_common.security.keys import create_key_pair
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_common.service import Host
from modelog_platform.parts.ports import free_port
from modelog_proto.common.v1 import common_pb2
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from modelog_proto.registry.v1 import artifact_pb2, model_pb2
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceStub
from modelog_proto.serving.v1.release_pb2_grpc import ReleasesStub
from modelog_registry.app import build as build_registry
from modelog_serving.app import build as build_serving
from numpy.typing import NDArray

COLUMNS = ("hour", "wind", "rain", "delay")
TENANT = "acme"
PATIENCE_S = 150.0
PIECE_BYTES = 1 << 20
# Eight processes on two cores may take this long to import what they need.
START_S = 150.0
PEOPLE = ("developer", "reviewer", "admin")


@cache
def model_file(seed: int = 0, trees: int = 5, objective: str = "binary:logistic") -> bytes:
    """A small model of four features, always the same for a seed."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(400, len(COLUMNS))).astype(np.float32)
    labels = (features[:, 3] + seed * features[:, 1] + draw.normal(size=400) > 0).astype(int)
    data = xgboost.DMatrix(features, labels, feature_names=list(COLUMNS))
    booster = xgboost.train({"objective": objective, "max_depth": 3, "nthread": 1, "seed": seed}, data, trees)
    return bytes(booster.save_raw("ubj"))


def answers_of(content: bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the library itself answers."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    answers: NDArray[np.float32] = booster.inplace_predict(rows)
    return answers


def signature(columns: Iterable[str] = COLUMNS, output: str = "late") -> model_pb2.Signature:
    names = list(columns)
    return model_pb2.Signature(
        inputs=[model_pb2.TensorSpec(name="features", datatype="FP32", shape=[-1, len(names)], columns=names)],
        outputs=[model_pb2.TensorSpec(name=output, datatype="FP32", shape=[-1])],
    )


@dataclass
class Caller:
    """Somebody's stubs."""

    token: str
    control: grpc.aio.Channel
    oip: grpc.aio.Channel
    registry: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.deployments: Any = DeploymentServiceStub(self.control)
        self.releases: Any = ReleasesStub(self.control)
        self.admin: Any = AdminServiceStub(self.control)
        self.inference: Any = GRPCInferenceServiceStub(self.oip)
        self.models: Any = ModelRegistryStub(self.registry)
        self.artifacts: Any = ArtifactStoreStub(self.registry)

    async def version(
        self, content: bytes, *, model: str = "flight-delay", signed: model_pb2.Signature | None = None, **fields: Any
    ) -> str:
        """Register a version with this file; returns its number."""
        whole: dict[str, Any] = {
            "model": model,
            "flavor": "xgboost",
            "artifact": model_pb2.Artifact(
                path="model.ubj", digest=hashlib.sha256(content).hexdigest(), size_bytes=len(content)
            ),
            "signature": signed or signature(),
        } | fields
        pieces = [content[at : at + PIECE_BYTES] for at in range(0, len(content), PIECE_BYTES)]
        await self.artifacts.UploadArtifact([artifact_pb2.UploadArtifactRequest(chunk=piece) for piece in pieces])
        made = await self.models.RegisterVersion(model_pb2.RegisterVersionRequest(**whole), timeout=PATIENCE_S)
        return str(made.version)

    async def promote(self, version: str, stage: str, model: str = "flight-delay") -> None:
        request = {"model": model, "version": version, "stage": model_pb2.Stage.Value(f"STAGE_{stage.upper()}")}
        await self.models.PromoteVersion(model_pb2.PromoteVersionRequest(**request))

    async def approve(self, version: str, model: str = "flight-delay") -> None:
        review = model_pb2.REVIEW_DECISION_APPROVED
        await self.models.ReviewVersion(
            model_pb2.ReviewVersionRequest(model=model, version=version, decision=review, comment="looked")
        )

    async def deploy(self, version: str = "1.0.0", name: str = "flights", **fields: Any) -> pb.Deployment:
        whole: dict[str, Any] = {
            "name": name,
            "model": "flight-delay",
            "version": version,
            "environment": pb.DEPLOYMENT_ENVIRONMENT_DEV,
        } | fields
        made: pb.Deployment = await self.deployments.CreateDeployment(
            pb.CreateDeploymentRequest(**whole), timeout=PATIENCE_S
        )
        return made

    async def split(self, name: str = "flights", *, request_id: str = "", **percents: float) -> pb.Deployment:
        """Set the traffic: v1_1_0=10 stands for ten percent to version 1.1.0."""
        shares = [
            pb.TrafficShare(version=version[1:].replace("_", "."), percent=percent)
            for version, percent in percents.items()
        ]
        request = pb.SetTrafficRequest(name=name, shares=shares, reason="test", request_id=request_id)
        made: pb.Deployment = await self.deployments.SetTraffic(request, timeout=PATIENCE_S)
        return made

    async def deployment(self, name: str = "flights", **read: Any) -> pb.Deployment:
        request = pb.GetDeploymentRequest(name=name, read=common_pb2.ReadOptions(**read))
        found: pb.Deployment = await self.deployments.GetDeployment(request)
        return found

    async def reached(self, producer: str) -> int:
        request = common_pb2.GetStreamProgressRequest(producer=producer, topic="inference.requests")
        return int((await self.admin.GetStreamProgress(request)).sequence)


@dataclass
class Rig:
    """A folder, keys, and the addresses of what runs on it."""

    folder: Path
    kafka: str = ""
    control: str = ""
    oip: str = ""
    http: str = ""
    registry: str = ""
    log: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    _channels: list[grpc.aio.Channel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        keys = self.folder / "keys"
        self._signer = TokenSigner(create_key_pair(keys / "signing.pem", keys / "public.pem"), self.clock)
        (keys / "service.token").write_text(self.token("serving", "service"))

    def token(self, user: str, *roles: str, tenant: str = TENANT) -> str:
        return self._signer.sign(Identity(user, tenant, frozenset(roles or PEOPLE)), timedelta(hours=1))

    def settings(self, **fields: Any) -> Settings:
        known: dict[str, Any] = {
            "data_dir": self.folder,
            "public_key_file": self.folder / "keys" / "public.pem",
            "service_token_file": self.folder / "keys" / "service.token",
            "blobs": f"file://{self.folder / 'blobs'}",
            "event_store": self.log or f"sqlite:///{self.folder / 'events.db'}",
        }
        return Settings(**(known | fields))

    def serving_settings(self, **fields: Any) -> Settings:
        return self.settings(peers={"registry": self.registry}, kafka_bootstrap=self.kafka, **fields)

    def caller(self, user: str = "alice", *roles: str, tenant: str = TENANT, attempts: int = 1) -> Caller:
        """Somebody who is told at once that nobody could answer, unless more `attempts` are made."""
        token = self.token(user, *roles, tenant=tenant)
        addresses = (self.control, self.oip, self.registry)
        channels = [connect(address, token, attempts=attempts, deadline_s=PATIENCE_S) for address in addresses]
        self._channels.extend(channels)
        return Caller(token, *channels)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        self._channels.clear()

    def at(self, endpoints: dict[str, str]) -> None:
        self.control, self.oip, self.http = endpoints["grpc"], endpoints["oip_grpc"], endpoints["http"]


@asynccontextmanager
async def running(
    name: str, settings: Settings, build: Callable[[Host], Awaitable[None]]
) -> AsyncIterator[dict[str, str]]:
    """A service in this process; gives its endpoints."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with Host(name, settings) as host:
        await build(host)
        task = asyncio.create_task(host.run(ready.set_result))
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
        if task.done():
            task.result()
        assert ready.done(), f"{name} did not come up in {PATIENCE_S:g} s"
        try:
            yield host.endpoints
        finally:
            host.stop()
            await task


@asynccontextmanager
async def registry_of(rig: Rig) -> AsyncIterator[Rig]:
    """The rig with a registry that has the versions 1.0.0 and 1.1.0 of flight-delay, approved and in staging."""
    async with running("registry", rig.settings(kafka_bootstrap=rig.kafka), build_registry) as endpoints:
        rig.registry = endpoints["grpc"]
        rig.control = rig.oip = rig.registry
        await with_versions(rig.caller("alice", attempts=5), rig.caller("bob", attempts=5))
        yield rig
        await rig.close()


async def with_versions(alice: Caller, bob: Caller) -> None:
    """The versions 1.0.0 and 1.1.0 of flight-delay for a tenant, approved and in staging."""
    await alice.models.RegisterModel(model_pb2.RegisterModelRequest(name="flight-delay"))
    for seed in (0, 1):
        version = await alice.version(model_file(seed))
        await bob.approve(version)
        await alice.promote(version, "staging")


@asynccontextmanager
async def serving_of(rig: Rig, **fields: Any) -> AsyncIterator[Rig]:
    """The rig with a serving process's parts in this process."""
    async with running("serving", rig.serving_settings(**fields), build_serving) as endpoints:
        rig.at(endpoints)
        yield rig
        await rig.close()


class Process:
    """Serving as an operating-system process on fixed ports, which may be killed and started again."""

    def __init__(self, rig: Rig, command: Sequence[str] = (sys.executable, "-m", "modelog_serving")) -> None:
        self._rig, self._command = rig, command
        self._ports = {"grpc": free_port(), "oip_grpc": free_port(), "http": free_port()}
        self._process: subprocess.Popen[bytes] | None = None
        rig.at({name: f"127.0.0.1:{port}" for name, port in self._ports.items()})
        rig.http = f"http://{rig.http}"

    @property
    def rig(self) -> Rig:
        return self._rig

    @property
    def environment(self) -> dict[str, str]:
        keys = self._rig.folder / "keys"
        own = {
            "DATA_DIR": str(self._rig.folder),
            "GRPC_PORT": str(self._ports["grpc"]),
            "OIP_GRPC_PORT": str(self._ports["oip_grpc"]),
            "HTTP_PORT": str(self._ports["http"]),
            "PEERS": json.dumps({"registry": self._rig.registry}),
            "PUBLIC_KEY_FILE": str(keys / "public.pem"),
            "SERVICE_TOKEN_FILE": str(keys / "service.token"),
            "KAFKA_BOOTSTRAP": self._rig.kafka,
            "LOG_LEVEL": "warning",
            "EVENT_STORE": self._rig.log,
        }
        return {**os.environ, **{f"MODELOG_{k}": v for k, v in own.items()}, **self._rig.environment}

    async def start(self) -> None:
        self._process = subprocess.Popen(self._command, env=self.environment, stdin=subprocess.DEVNULL)
        channel = grpc.aio.insecure_channel(self._rig.control)
        try:
            await asyncio.wait_for(channel.channel_ready(), START_S)
        finally:
            await channel.close()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the process was not started"
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status = self._process.wait(PATIENCE_S)
        self._process = None
        return status


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until something is so; fails, saying what was waited for."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {timeout_s:g} s for this, in vain: {what}") from None
