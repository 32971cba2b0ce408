"""The registry as the training service needs it, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Any

import grpc
import structlog
from modelog_common.domain.errors import AlreadyExists, NotAllowed, NotFound
from modelog_proto.registry.v1 import artifact_pb2, dataset_pb2, experiment_pb2, model_pb2
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.dataset_pb2_grpc import DatasetRegistryStub
from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub

from modelog_training.job.events import DatasetRef, ModelRef

log = structlog.get_logger()


class Registry:
    """Calls to the registry. Each command carries a request id, so that repeating it is safe."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._models: Any = ModelRegistryStub(channel)
        self._experiments: Any = ExperimentRegistryStub(channel)
        self._datasets: Any = DatasetRegistryStub(channel)
        self._files: Any = ArtifactStoreStub(channel)

    async def dataset(self, ref: DatasetRef) -> dataset_pb2.DatasetVersion:
        """A dataset version; raises NotFound, which names it."""
        request = dataset_pb2.GetDatasetVersionRequest(dataset=ref.dataset, version=ref.version)
        found: dataset_pb2.DatasetVersion = await self._datasets.GetDatasetVersion(request)
        return found

    async def model_version(self, ref: ModelRef) -> model_pb2.ModelVersion:
        """A version of a model; raises NotFound, which names it."""
        request = model_pb2.GetVersionRequest(model=ref.model, version=ref.version)
        found: model_pb2.ModelVersion = await self._models.GetVersion(request)
        return found

    async def download(self, digest: str) -> AsyncIterator[bytes]:
        """A stored file in pieces; raises NotFound at the first one when there is none."""
        async for piece in self._files.DownloadArtifact(artifact_pb2.DownloadArtifactRequest(digest=digest)):
            yield piece.chunk

    async def upload(self, pieces: AsyncIterable[bytes], digest: str) -> None:
        """Store a file; pieces of at most 1 MiB. Raises Invalid when they do not have this digest."""

        async def messages() -> AsyncIterator[artifact_pb2.UploadArtifactRequest]:
            async for piece in pieces:
                yield artifact_pb2.UploadArtifactRequest(chunk=piece)
            yield artifact_pb2.UploadArtifactRequest(expected_digest=digest)

        await self._files.UploadArtifact(messages())

    async def ensure_experiment(self, name: str, request_id: str) -> None:
        await self._experiments.CreateExperiment(
            experiment_pb2.CreateExperimentRequest(name=name, request_id=request_id)
        )

    async def start_run(self, request: experiment_pb2.StartRunRequest) -> str:
        """The id of the run."""
        run: experiment_pb2.Run = await self._experiments.StartRun(request)
        return run.id

    async def log_run(self, request: experiment_pb2.LogRunRequest) -> None:
        await self._experiments.LogRun(request)

    async def end_run(
        self, run_id: str, status: experiment_pb2.RunStatus.ValueType, error: str, request_id: str
    ) -> None:
        """A run that has ended in another way stays as it ended."""
        request = experiment_pb2.EndRunRequest(run_id=run_id, status=status, error=error, request_id=request_id)
        try:
            await self._experiments.EndRun(request)
        except NotAllowed:
            log.info("a run had ended already", run_id=run_id)

    async def ensure_model(self, name: str, description: str, request_id: str) -> None:
        """Give a model its name, unless it has it."""
        try:
            await self._models.GetModel(model_pb2.GetModelRequest(name=name))
        except NotFound:
            request = model_pb2.RegisterModelRequest(name=name, description=description, request_id=request_id)
            try:
                await self._models.RegisterModel(request)
            except AlreadyExists:
                return  # somebody else was quicker

    async def register_version(self, request: model_pb2.RegisterVersionRequest) -> model_pb2.ModelVersion:
        version: model_pb2.ModelVersion = await self._models.RegisterVersion(request)
        return version


def run_datasets(versions: Sequence[dataset_pb2.DatasetVersion]) -> list[experiment_pb2.RunDataset]:
    """The dataset versions as a run names them."""
    return [experiment_pb2.RunDataset(dataset=v.dataset, version=v.version, digest=v.digest) for v in versions]


def environment(
    python: str, platform: str, packages: Mapping[str, str], commit: str, dirty: bool, entry_point: str, digest: str
) -> experiment_pb2.Environment:
    """What a run ran in."""
    return experiment_pb2.Environment(
        python=python,
        platform=platform,
        packages=packages,
        git_commit=commit,
        git_dirty=dirty,
        entry_point=entry_point,
        source_digest=digest,
    )
