"""What monitoring asks of the other services, over their contracts."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1 import artifact_pb2, dataset_pb2, model_pb2
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.dataset_pb2_grpc import DatasetRegistryStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from modelog_proto.serving.v1 import deployment_pb2
from modelog_proto.serving.v1.deployment_pb2_grpc import DeploymentServiceStub
from modelog_proto.training.v1 import training_pb2
from modelog_proto.training.v1.training_pb2_grpc import TrainingServiceStub

PAGE = 1000


class Registry:
    """Datasets, their files, and model versions."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._datasets, self._models = DatasetRegistryStub(channel), ModelRegistryStub(channel)
        self._files = ArtifactStoreStub(channel)

    async def dataset_version(self, dataset: str, version: int) -> dataset_pb2.DatasetVersion:
        """Raises NotFound."""
        return await self._datasets.GetDatasetVersion(
            dataset_pb2.GetDatasetVersionRequest(dataset=dataset, version=version)
        )

    async def dataset_labels(self, dataset: str) -> list[tuple[int, str]]:
        """All versions of a dataset with their labels, oldest first."""
        labels: list[tuple[int, str]] = []
        page = Page(size=PAGE)
        while True:
            answer = await self._datasets.ListDatasetVersions(
                dataset_pb2.ListDatasetVersionsRequest(dataset=dataset, page=page)
            )
            labels += [(v.version, v.label) for v in answer.versions]
            if not answer.next_page_token:
                return labels
            page = Page(size=PAGE, token=answer.next_page_token)

    async def file(self, digest: str) -> bytes:
        """A stored file; raises NotFound."""
        chunks = self._files.DownloadArtifact(artifact_pb2.DownloadArtifactRequest(digest=digest))
        return b"".join([answer.chunk async for answer in chunks])

    async def promote(
        self, model: str, version: str, stage: model_pb2.Stage.ValueType, reason: str, request_id: str
    ) -> None:
        """Move a version to a stage; the same request again changes nothing. Raises NotAllowed or NotFound."""
        await self._models.PromoteVersion(
            model_pb2.PromoteVersionRequest(
                model=model, version=version, stage=stage, reason=reason, request_id=request_id
            )
        )


class Training:
    """Training jobs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._jobs = TrainingServiceStub(channel)

    async def submit(self, spec: training_pb2.JobSpec, request_id: str) -> str:
        """Queue a job; returns its id. The same request again gives the same job. Raises Invalid or NotFound."""
        job = await self._jobs.SubmitJob(training_pb2.SubmitJobRequest(spec=spec, request_id=request_id))
        return str(job.id)

    async def job(self, job_id: str) -> training_pb2.Job:
        """Raises NotFound."""
        return await self._jobs.GetJob(training_pb2.GetJobRequest(job_id=job_id))


class Serving:
    """Deployments and their traffic."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._deployments = DeploymentServiceStub(channel)

    async def deployment(self, name: str, *, at_least: int = 0) -> deployment_pb2.Deployment:
        """As of now; with `at_least`, of a table that covers this position of the log. Raises NotFound."""
        read = ReadOptions(at_least=at_least)
        return await self._deployments.GetDeployment(deployment_pb2.GetDeploymentRequest(name=name, read=read))

    async def set_traffic(self, name: str, percents: Mapping[str, float], reason: str, request_id: str) -> None:
        """Split the traffic; the same request again changes nothing. Raises NotAllowed or NotFound."""
        shares = [deployment_pb2.TrafficShare(version=v, percent=p) for v, p in percents.items()]
        await self._deployments.SetTraffic(
            deployment_pb2.SetTrafficRequest(name=name, shares=shares, reason=reason, request_id=request_id)
        )


def champion_of(deployment: deployment_pb2.Deployment) -> str:
    """The version that has most of the traffic, "" when none has any."""
    most = max(deployment.variants, key=lambda v: v.percent, default=None)
    return "" if most is None else str(most.version)
