"""A registry of the test's own, in this process or as one that can be killed, and people who call it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from modelog_common.config import Settings
from modelog_common.domain.clock import Clock, ManualClock, SystemClock
from modelog_common.outbound.pace import Pace
from modelog_common.privacy.masters import new_master_key
from modelog_common.rpc.client import connect
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_common.service import Host
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.registry.v1 import artifact_pb2, experiment_pb2, model_pb2
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.compare_pb2_grpc import ComparisonsStub
from modelog_proto.registry.v1.dataset_pb2_grpc import DatasetRegistryStub
from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryStub
from modelog_proto.registry.v1.logged_model_pb2_grpc import LoggedModelsStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from modelog_proto.registry.v1.webhook_pb2_grpc import WebhooksStub
from modelog_registry.app import build

sys.path.insert(0, str(Path(__file__).parent))

from hook_receiver import Receiver, receiving

CONTENT = b"a model"
PATIENCE_S = 150


@dataclass
class Person:
    """Somebody's stubs, each of whose calls carries their token."""

    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.models: Any = ModelRegistryStub(self.channel)
        self.experiments: Any = ExperimentRegistryStub(self.channel)
        self.logged_models: Any = LoggedModelsStub(self.channel)
        self.datasets: Any = DatasetRegistryStub(self.channel)
        self.comparisons: Any = ComparisonsStub(self.channel)
        self.artifacts: Any = ArtifactStoreStub(self.channel)
        self.webhooks: Any = WebhooksStub(self.channel)
        self.admin: Any = AdminServiceStub(self.channel)

    async def upload(self, content: bytes = CONTENT, *, expected: str = "", size: int = 4) -> Any:
        """Send a file in pieces of `size` bytes."""
        pieces = [content[n : n + size] for n in range(0, len(content), size)] or [b""]
        messages = [artifact_pb2.UploadArtifactRequest(chunk=piece) for piece in pieces]
        messages[-1].expected_digest = expected
        return await self.artifacts.UploadArtifact(messages)

    async def download(self, digest: str) -> bytes:
        call = self.artifacts.DownloadArtifact(artifact_pb2.DownloadArtifactRequest(digest=digest))
        return b"".join([answer.chunk async for answer in call])

    async def model(self, name: str = "flight-delay") -> Any:
        return await self.models.RegisterModel(model_pb2.RegisterModelRequest(name=name))

    async def version(self, model: str = "flight-delay", **fields: Any) -> Any:
        """Register the next version of a model that exists, with content that is uploaded."""
        return await self.models.RegisterVersion(version_request(model, **fields))

    async def review(self, version: str, decision: int = model_pb2.REVIEW_DECISION_APPROVED, **fields: Any) -> Any:
        request = {"model": "flight-delay", "version": version, "decision": decision, "comment": "looked", **fields}
        return await self.models.ReviewVersion(model_pb2.ReviewVersionRequest(**request))

    async def promote(self, version: str, stage: int, **fields: Any) -> Any:
        request = {"model": "flight-delay", "version": version, "stage": stage, **fields}
        return await self.models.PromoteVersion(model_pb2.PromoteVersionRequest(**request))

    async def experiment(self, name: str = "delays") -> Any:
        return await self.experiments.CreateExperiment(experiment_pb2.CreateExperimentRequest(name=name))

    async def run(self, experiment: str = "delays", **fields: Any) -> Any:
        return await self.experiments.StartRun(experiment_pb2.StartRunRequest(experiment=experiment, **fields))


def version_request(model: str = "flight-delay", content: bytes = CONTENT, **fields: Any) -> Any:
    """A version of a small model."""
    whole: dict[str, Any] = {
        "model": model,
        "flavor": "xgboost",
        "artifact": model_pb2.Artifact(
            path="model.ubj", digest=hashlib.sha256(content).hexdigest(), size_bytes=len(content)
        ),
        "signature": model_pb2.Signature(
            inputs=[model_pb2.TensorSpec(name="features", datatype="FP32", shape=[-1, 2], columns=["hour", "wind"])],
            outputs=[model_pb2.TensorSpec(name="delayed", datatype="FP32", shape=[-1])],
        ),
    }
    return model_pb2.RegisterVersionRequest(**{**whole, **fields})


class Registry:
    """A registry's folder and address, and the people who may call it."""

    def __init__(self, folder: Path, clock: Clock, **settings: Any) -> None:
        self.folder = folder
        self.clock = clock
        self._signer = TokenSigner(
            create_key_pair(folder / "keys" / "signing.pem", folder / "keys" / "public.pem"), clock
        )
        write_secret(folder / "keys" / "master.key", new_master_key().encode())
        (folder / "keys" / "service.token").write_text(self.token("registry", "acme", ["service"]))
        self.settings = Settings(data_dir=folder, **settings)
        self.address = ""
        self._channels: list[grpc.aio.Channel] = []

    def token(self, user: str, tenant: str, roles: Iterable[str]) -> str:
        return self._signer.sign(Identity(user, tenant, frozenset(roles)), timedelta(hours=1))

    def person(self, user: str, *roles: str, tenant: str = "acme") -> Person:
        """Somebody with these roles; with all that people have, when none is named."""
        token = self.token(user, tenant, roles or ("developer", "reviewer", "admin"))
        channel = connect(self.address, token, deadline_s=PATIENCE_S)
        self._channels.append(channel)
        return Person(channel)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        self._channels.clear()


@asynccontextmanager
async def serving(made: Registry) -> AsyncIterator[Registry]:
    """Run a registry in this process for the length of a block."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with Host("registry", made.settings, made.clock) as host:
        await build(host)
        task = asyncio.create_task(host.run(ready.set_result))
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
        if task.done():
            task.result()
        made.address = f"127.0.0.1:{ready.result()}"
        try:
            yield made
        finally:
            await made.close()
            host.stop()
            await task


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    """A registry that answers, in this process; its clock stands still."""
    async with serving(Registry(tmp_path, ManualClock())) as made:
        yield made


@pytest.fixture
def registry_with() -> Callable[..., AbstractAsyncContextManager[Registry]]:
    """A registry in a folder, with settings of the test's own, for the length of a block."""
    return lambda folder, **settings: serving(Registry(folder, ManualClock(), **settings))


@pytest.fixture
def once_more() -> Callable[..., AbstractAsyncContextManager[Registry]]:
    """A registry that ended, with settings changed, for the length of a block."""

    def again(ended: Registry, **settings: Any) -> AbstractAsyncContextManager[Registry]:
        ended.settings = ended.settings.changed(**settings)
        return serving(ended)

    return again


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Somebody who takes webhooks."""
    async with receiving() as made:
        yield made


@pytest.fixture
async def hooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Registry]:
    """A registry that may send to this machine, tries again at once, and gives up after the third attempt."""
    monkeypatch.setattr("modelog_registry.app.Pace", lambda: Pace(first_s=0.05, longest_s=0.05, attempts=3))
    async with serving(Registry(tmp_path, SystemClock(), webhook_networks="127.0.0.0/8")) as made:
        yield made


@pytest.fixture
async def published(tmp_path: Path, fresh_broker: Any) -> AsyncIterator[tuple[Registry, str]]:
    """A registry that publishes its events to a broker, and the broker's address."""
    made = Registry(tmp_path, ManualClock(), kafka_bootstrap=fresh_broker.bootstrap)
    async with serving(made):
        yield made, fresh_broker.bootstrap


@pytest.fixture
def alice(registry: Registry) -> Person:
    return registry.person("alice")


@pytest.fixture
def bob(registry: Registry) -> Person:
    return registry.person("bob")


class RegistryProcess(Registry):
    """The same as an operating-system process on a port of its own, to be killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, SystemClock())
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {"MODELOG_DATA_DIR": str(self.folder), "MODELOG_GRPC_PORT": str(self.port)}
        with (self.folder / "registry.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelog_registry"], env={**os.environ, **settings}, stdout=log, stderr=log
            )

    async def ready(self) -> None:
        """Wait until calls are answered."""
        async with asyncio.timeout(PATIENCE_S):
            async with grpc.aio.insecure_channel(self.address) as channel:
                await channel.channel_ready()

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def log(self) -> str:
        return (self.folder / "registry.log").read_text()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[RegistryProcess]:
    """A registry process; it has been started, and is ended with the test."""
    from modelog_platform.parts.ports import free_port

    made = RegistryProcess(tmp_path, free_port())
    made.start()
    await made.ready()
    yield made
    await made.close()
    if made._process is not None and made._process.poll() is None:
        made.kill()
