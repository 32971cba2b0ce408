"""A real server on loopback with servicers made for these tests, people who call it, and what it logs and traces."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import grpc
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from modelog_common.config import Edge
from modelog_common.domain.clock import ManualClock
from modelog_common.rpc.call import Call, current_call
from modelog_common.rpc.client import connect
from modelog_common.rpc.server import GrpcServer
from modelog_common.security.tokens import Identity, TokenSigner, TokenVerifier
from modelog_common.telemetry import logs, traces
from modelog_proto.lineage.v1 import lineage_pb2, lineage_pb2_grpc
from modelog_proto.registry.v1 import artifact_pb2, artifact_pb2_grpc, model_pb2, model_pb2_grpc
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PATIENCE_S = 150.0
MODELS = "modelog.registry.v1.ModelRegistry"
ARTIFACTS = "modelog.registry.v1.ArtifactStore"
AUDIT = "modelog.lineage.v1.AuditService"
Handler = Callable[[Any], Any]


class Models(model_pb2_grpc.ModelRegistryServicer):
    """Answers GetModel with what the test says; keeps the calls that reached it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer: Handler | None = None
        self.abort_with: tuple[grpc.StatusCode, str] | None = None
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()

    async def GetModel(self, request: Any, context: Any) -> Any:
        self.calls.append(current_call())
        self.entered.set()
        try:
            found = self.answer(request) if self.answer is not None else None
            if asyncio.iscoroutine(found):
                found = await found
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if isinstance(found, Exception):
            raise found
        return found or model_pb2.Model(name=request.name)

    async def RegisterModel(self, request: Any, context: Any) -> Any:
        if self.abort_with is not None:
            await context.abort(*self.abort_with)
        return model_pb2.Model(name=request.name)

    async def ReviewVersion(self, request: Any, context: Any) -> Any:
        return model_pb2.ModelVersion(model=request.model)


class Artifacts(artifact_pb2_grpc.ArtifactStoreServicer):
    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.arrived = asyncio.Event()

    async def UploadArtifact(self, request_iterator: Any, context: Any) -> Any:
        async for request in request_iterator:
            self.received.append(request.chunk)
            self.arrived.set()
        return artifact_pb2.UploadArtifactResponse(size_bytes=sum(map(len, self.received)))

    async def DownloadArtifact(self, request: Any, context: Any) -> Any:
        # The other style that gRPC allows: no generator.
        await context.write(artifact_pb2.DownloadArtifactResponse(chunk=b"one"))
        await context.write(artifact_pb2.DownloadArtifactResponse(chunk=b"two"))


class Audit(lineage_pb2_grpc.AuditServiceServicer):
    """Streams three events, then raises what the test says or waits until the caller leaves."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.left = asyncio.Event()
        self.calls: list[Call] = []

    async def StreamEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.calls.append(current_call())
        try:
            for position in range(request.after + 1, request.after + 4):
                yield lineage_pb2.AuditEvent(position=position)
            if self.error is not None:
                raise self.error
            await asyncio.Event().wait()
        finally:
            self.left.set()


class Served:
    """The server with its parts, and channels to it."""

    def __init__(
        self, clock: ManualClock, key: Ed25519PrivateKey | None = None, client: Edge = "own", **options: Any
    ) -> None:
        self.clock, self.client = clock, client
        self.key = key or Ed25519PrivateKey.generate()
        self.signer = TokenSigner(self.key, clock)
        self.verifier = TokenVerifier(self.key.public_key(), clock)
        self.models, self.artifacts, self.audit = Models(), Artifacts(), Audit()
        self.edge = options["edge"]
        self.server = GrpcServer("127.0.0.1", 0, self.verifier, **options)
        self.server.add(model_pb2_grpc.add_ModelRegistryServicer_to_server, self.models, MODELS)
        self.server.add(artifact_pb2_grpc.add_ArtifactStoreServicer_to_server, self.artifacts, ARTIFACTS)
        self.server.add(lineage_pb2_grpc.add_AuditServiceServicer_to_server, self.audit, AUDIT)
        self.address = ""
        self.closing = AsyncExitStack()

    def token(self, *roles: str, user: str = "alice") -> str:
        return self.signer.sign(Identity(user, "acme", frozenset(roles or {"admin"})), timedelta(hours=1))

    def channel(self, token: Any = None, **options: Any) -> Any:
        """A channel that does not repeat calls unless told to; as an admin unless told otherwise."""
        made = connect(
            self.address, self.token() if token is None else token, **{"attempts": 1, "client": self.client} | options
        )
        self.closing.push_async_callback(made.close)
        return made

    def registry(self, token: Any = None, **options: Any) -> Any:
        return model_pb2_grpc.ModelRegistryStub(self.channel(token, **options))

    async def start(self) -> None:
        self.address = f"127.0.0.1:{await self.server.start()}"
        self.closing.push_async_callback(self.server.stop, 0)


Start = Callable[..., Any]


# The edge, and the client: each of ours beside grpcio's.
@pytest.fixture(params=[("own", "own"), ("own", "grpcio"), ("grpcio", "own"), ("grpcio", "grpcio")], ids="-".join)
async def start(request: pytest.FixtureRequest) -> AsyncIterator[Start]:
    """Start a server; any number of them."""
    async with AsyncExitStack() as stack:

        async def begin(**options: Any) -> Served:
            edge, client = request.param
            made = Served(ManualClock(), client=client, edge=edge, **options)
            stack.push_async_callback(made.closing.aclose)
            await made.start()
            return made

        yield begin


@pytest.fixture
async def served(start: Start) -> Served:
    return await start()


class Lines:
    """The log, line by line."""

    def __init__(self) -> None:
        self.out = io.StringIO()

    def all(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.out.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    async def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """The lines of an event once there are `count`: a server writes its line after the client has the answer."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while len(self.all(event)) < count:
                    await asyncio.sleep(0)
        except TimeoutError:
            pytest.fail(f"the log has {len(self.all(event))} lines {event!r}, expected {count}: {self.out.getvalue()}")
        return self.all(event)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the process logs."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    kept = Lines()
    logs.configure("tests", "debug", kept.out)
    yield kept
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    kept = InMemorySpanExporter()
    traces.configure("tests").add_span_processor(SimpleSpanProcessor(kept))
    return kept


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    """The spans that end from now on."""
    exporter.clear()
    return exporter
