"""The world around monitoring: registry, training and serving as small real gRPC servers, and what they were asked."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import polars as pl
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)
from modelog_proto.registry.v1 import artifact_pb2, dataset_pb2, model_pb2, workspace_pb2
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreServicer, add_ArtifactStoreServicer_to_server
from modelog_proto.registry.v1.dataset_pb2_grpc import DatasetRegistryServicer, add_DatasetRegistryServicer_to_server
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryServicer, add_ModelRegistryServicer_to_server
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesServicer, add_WorkspacesServicer_to_server
from modelog_proto.serving.v1 import deployment_pb2
from modelog_proto.serving.v1.deployment_pb2_grpc import (
    DeploymentServiceServicer,
    add_DeploymentServiceServicer_to_server,
)
from modelog_proto.training.v1 import training_pb2
from modelog_proto.training.v1.training_pb2_grpc import TrainingServiceServicer, add_TrainingServiceServicer_to_server

COLUMNS = ("hour", "wind", "carrier")
KINDS = ("numeric", "numeric", "categorical")
CHAMPION, CHALLENGER = "1.0.0", "1.1.0"
Model = Callable[[Any], Any]


def sigmoid(x: Any) -> Any:
    return (1 / (1 + np.exp(-x))).astype(np.float32)


def truth(features: Any) -> Any:
    """How probable a positive label is."""
    return sigmoid(2.0 * features[:, 0] + 2.0 * features[:, 1])


class World:
    """Everything that the other services know and were asked; `models` are the versions that serving can load.

    `refuse` maps a method to the error that it always answers with; `lose` maps one to how often it does what it is
    asked and then says that it was not available; `kill_after` names methods after which `killer` is called, once.
    """

    def __init__(self) -> None:
        self.models: dict[str, Model] = {
            CHAMPION: lambda x: sigmoid(2.0 * x[:, 0]),
            CHALLENGER: truth,
        }
        self.files: dict[str, bytes] = {}
        self.datasets: dict[str, list[dataset_pb2.DatasetVersion]] = {}
        self.traffic: dict[str, float] = {CHAMPION: 100.0}
        self.splits = 0
        self.jobs: dict[str, training_pb2.Job] = {}
        self.done: list[tuple[str, ...]] = []
        self.seen: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.scored: Counter[str] = Counter()
        self.refuse: dict[str, tuple[grpc.StatusCode, str]] = {}
        self.lose: Counter[str] = Counter()
        self.unavailable: Counter[str] = Counter()
        self.on_job: Callable[[training_pb2.Job], None] = lambda job: None
        self.kill_after: set[str] = set()
        self.killer: Callable[[], None] = lambda: None

    def add_dataset(self, name: str, label: str, table: pl.DataFrame) -> None:
        """Register a version."""
        file = io.BytesIO()
        table.write_parquet(file)
        content = file.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        versions = self.datasets.setdefault(name, [])
        versions.append(dataset_pb2.DatasetVersion(dataset=name, version=len(versions) + 1, label=label, digest=digest))

    def split(self, percents: dict[str, float]) -> None:
        """Give the traffic to these versions, as an event that the deployment then tells the position of."""
        self.traffic, self.splits = percents, self.splits + 1

    def signature(self) -> model_pb2.Signature:
        return model_pb2.Signature(
            inputs=[
                model_pb2.TensorSpec(name="features", datatype="FP32", shape=[-1, 3], columns=COLUMNS, kinds=KINDS)
            ],
            outputs=[model_pb2.TensorSpec(name="delayed", datatype="FP32", shape=[-1])],
        )

    async def answer(self, context: Any, method: str, request_id: str, work: Callable[[], Any]) -> Any:
        """Do it once for each request id, and answer; or fail as the test wants."""
        self.calls[method] += 1
        if method in self.refuse:
            await context.abort(*self.refuse[method])
        if self.unavailable[method] > 0:
            self.unavailable[method] -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"{method} is not there")
        key = f"{method} {request_id}"
        if not request_id or key not in self.seen:
            self.seen[key] = work()
        if method in self.kill_after:
            self.kill_after.discard(method)
            self.killer()
        if self.lose[method] > 0:
            self.lose[method] -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"the answer of {method} was lost")
        return self.seen[key]

    async def serve(self) -> tuple[grpc.aio.Server, str]:
        """Listen; returns the server and its address."""
        server = grpc.aio.server()
        add_DatasetRegistryServicer_to_server(_Datasets(self), server)
        add_ArtifactStoreServicer_to_server(_Files(self), server)
        add_ModelRegistryServicer_to_server(_Models(self), server)
        add_WorkspacesServicer_to_server(_Workspaces(), server)
        add_TrainingServiceServicer_to_server(_Training(self), server)
        add_DeploymentServiceServicer_to_server(_Serving(self), server)
        add_GRPCInferenceServiceServicer_to_server(_Inference(self), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, f"127.0.0.1:{port}"


class _Datasets(DatasetRegistryServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def GetDatasetVersion(self, request: Any, context: Any) -> Any:
        found = [v for v in self.world.datasets.get(request.dataset, []) if v.version == request.version]
        if not found:
            text = f"there is no version {request.version} of a dataset {request.dataset!r}"
            await context.abort(grpc.StatusCode.NOT_FOUND, text)
        return found[0]

    async def ListDatasetVersions(self, request: Any, context: Any) -> Any:
        versions = self.world.datasets.get(request.dataset, [])
        start = int(request.page.token or 0)
        page = versions[start : start + 2]
        token = str(start + 2) if start + 2 < len(versions) else ""
        return dataset_pb2.ListDatasetVersionsResponse(versions=page, next_page_token=token)


class _Files(ArtifactStoreServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def DownloadArtifact(self, request: Any, context: Any) -> Any:
        content = self.world.files[request.digest]
        for start in range(0, len(content), 1000):
            yield artifact_pb2.DownloadArtifactResponse(chunk=content[start : start + 1000])


class _Workspaces(WorkspacesServicer):
    """None is restricted."""

    async def FindHidden(self, request: Any, context: Any) -> Any:
        return workspace_pb2.FindHiddenResponse()


class _Models(ModelRegistryServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def PromoteVersion(self, request: Any, context: Any) -> Any:
        stage = model_pb2.Stage.Name(request.stage).removeprefix("STAGE_").lower()

        def promote() -> Any:
            self.world.done.append(("promote", request.version, stage))
            return model_pb2.ModelVersion(model=request.model, version=request.version, stage=request.stage)

        return await self.world.answer(context, f"promote {stage}", request.request_id, promote)


class _Training(TrainingServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def SubmitJob(self, request: Any, context: Any) -> Any:
        def submit() -> Any:
            job = training_pb2.Job(
                id=f"job-{len(self.world.jobs) + 1}", spec=request.spec, status=training_pb2.JOB_STATUS_QUEUED
            )
            self.world.on_job(job)
            self.world.jobs[job.id] = job
            self.world.done.append(("submit", job.id))
            return job

        return await self.world.answer(context, "submit", request.request_id, submit)

    async def GetJob(self, request: Any, context: Any) -> Any:
        return await self.world.answer(context, "job", "", lambda: self.world.jobs[request.job_id])


class _Serving(DeploymentServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    def deployment(self, name: str) -> Any:
        variants = [deployment_pb2.Variant(version=v, percent=p) for v, p in self.world.traffic.items()]
        return deployment_pb2.Deployment(
            id="d",
            name=name,
            model="flight-delay",
            variants=variants,
            signature=self.world.signature(),
            position=self.world.splits,
        )

    async def GetDeployment(self, request: Any, context: Any) -> Any:
        if request.name != "flights":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no deployment {request.name!r}")
        return await self.world.answer(context, "deployment", "", lambda: self.deployment(request.name))

    async def SetTraffic(self, request: Any, context: Any) -> Any:
        def split() -> Any:
            self.world.split({s.version: s.percent for s in request.shares})
            shares = " ".join(f"{s.version}={s.percent:g}" for s in request.shares)
            self.world.done.append(("traffic", shares))
            return self.deployment(request.name)

        return await self.world.answer(context, "traffic", request.request_id, split)


class _Inference(GRPCInferenceServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        def infer() -> Any:
            assert request.model_name == "flights"
            (tensor,) = request.inputs
            features = np.frombuffer(request.raw_input_contents[0], "<f4").reshape(list(tensor.shape))
            scores = self.world.models[request.model_version](features)
            self.world.scored[request.model_version] += len(scores)
            output = oip.ModelInferResponse.InferOutputTensor(name="delayed", datatype="FP32", shape=[len(scores)])
            return oip.ModelInferResponse(outputs=[output], raw_output_contents=[scores.astype("<f4").tobytes()])

        return await self.world.answer(context, "infer", "", infer)
