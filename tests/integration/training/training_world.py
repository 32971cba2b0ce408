"""A registry and a training service as processes or hosts of the test's own, and what a user does with them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import polars as pl
from modelog_common.domain.clock import SystemClock
from modelog_common.rpc.client import connect
from modelog_common.security.keys import create_key_pair
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_platform.parts.ports import free_port
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.common.v1.common_pb2_grpc import AdminServiceStub
from modelog_proto.registry.v1 import artifact_pb2, dataset_pb2, experiment_pb2, model_pb2
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.dataset_pb2_grpc import DatasetRegistryStub
from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from modelog_proto.training.v1 import training_pb2 as pb
from modelog_proto.training.v1.training_pb2_grpc import TrainingServiceStub

PATIENCE_S = 150.0
LOOK_S = 0.05
TENANT = "acme"
ENDED = (pb.JOB_STATUS_SUCCEEDED, pb.JOB_STATUS_FAILED, pb.JOB_STATUS_CANCELLED)
SIGNATURE = """{
    "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 2], "columns": ["hour", "wind"]}],
    "outputs": [{"name": "delayed", "datatype": "FP32", "shape": [-1]}],
}"""


class World:
    """One data folder, whose services are reached under fixed addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"registry": free_port(), "training": free_port()}
        self._signer = TokenSigner(
            create_key_pair(folder / "keys" / "signing.pem", folder / "keys" / "public.pem"), SystemClock()
        )
        (folder / "keys" / "service.token").write_text(self.token("service:training", ["service"]))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._channels: list[grpc.aio.Channel] = []

    def token(self, user: str, roles: Iterable[str], tenant: str = TENANT) -> str:
        return self._signer.sign(Identity(user, tenant, frozenset(roles)), timedelta(hours=1))

    @property
    def peers(self) -> dict[str, str]:
        return {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}

    def user(self, name: str = "alice", *roles: str, tenant: str = TENANT) -> User:
        """Somebody who may do what developers and reviewers may."""
        token = self.token(name, roles or ("developer", "reviewer"), tenant)
        channels = {service: connect(address, token, deadline_s=PATIENCE_S) for service, address in self.peers.items()}
        self._channels += channels.values()
        return User(channels["registry"], channels["training"])

    def start(self, service: str) -> None:
        """As a process, which goes on after the test's other steps until it is killed or stopped."""
        settings = {
            "MODELOG_DATA_DIR": str(self.folder),
            "MODELOG_GRPC_PORT": str(self.ports[service]),
            "MODELOG_PEERS": json.dumps(self.peers),
            "MODELOG_DRAIN_S": "1",
        }
        with (self.folder / f"{service}.log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"modelog_{service}"], env={**os.environ, **settings}, stdout=log, stderr=log
            )

    async def come_up(self) -> None:
        """Start both services, and wait until they answer."""
        for service in self.ports:
            self.start(service)
        for service in self.ports:
            await self.answers(service)

    async def answers(self, service: str) -> None:
        """Wait until calls are answered."""
        async with asyncio.timeout(PATIENCE_S):
            async with grpc.aio.insecure_channel(self.peers[service]) as channel:
                await channel.channel_ready()

    def kill(self, service: str) -> None:
        """kill -9."""
        process = self._processes.pop(service)
        process.kill()
        process.wait()

    def stop(self, service: str) -> int:
        """SIGTERM; returns the exit status."""
        process = self._processes.pop(service)
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_S)

    def wait(self, service: str) -> int:
        """Wait until a service ends by itself; returns the exit status."""
        return self._processes.pop(service).wait(PATIENCE_S)

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()

    def pid(self, service: str) -> int:
        return self._processes[service].pid

    async def close(self) -> None:
        """Hang up."""
        for channel in self._channels:
            await channel.close()
        self._channels.clear()

    def end_processes(self) -> None:
        for service in list(self._processes):
            self.stop(service)


class User:
    """Somebody who sends calls."""

    def __init__(self, registry: grpc.aio.Channel, training: grpc.aio.Channel) -> None:
        self.artifacts: Any = ArtifactStoreStub(registry)
        self.datasets: Any = DatasetRegistryStub(registry)
        self.runs: Any = ExperimentRegistryStub(registry)
        self.models: Any = ModelRegistryStub(registry)
        self.jobs: Any = TrainingServiceStub(training)
        self.admin: Any = AdminServiceStub(training)

    async def upload(self, content: bytes) -> str:
        """The digest."""
        stored = await self.artifacts.UploadArtifact([artifact_pb2.UploadArtifactRequest(chunk=content)])
        return str(stored.digest)

    async def source(self, code: str = "", **files: str) -> str:
        """Upload an archive whose module `job` holds the code, and other modules by name; the digest."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in {"job": code, **files}.items():
                archive.writestr(f"{name}.py", textwrap.dedent(text))
        return await self.upload(buffer.getvalue())

    async def dataset(
        self, frame: pl.DataFrame, *expectations: dataset_pb2.Expectation, name: str = "flights"
    ) -> common.DatasetRef:
        """Register a frame as the next version of a dataset."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        content = buffer.getvalue()
        version = await self.datasets.RegisterDatasetVersion(
            dataset_pb2.RegisterDatasetVersionRequest(
                dataset=name,
                digest=await self.upload(content),
                size_bytes=len(content),
                rows=frame.height,
                schema=[dataset_pb2.Column(name=c, type=str(t)) for c, t in frame.schema.items()],
                expectations=expectations,
            )
        )
        return common.DatasetRef(dataset=name, version=version.version)

    async def submit(
        self, code: str = "", *, request_id: str = "", entry_point: str = "job:main", **spec: Any
    ) -> pb.Job:
        """Queue a job with this code."""
        if code:
            spec["source_digest"] = await self.source(code)
        parameters = spec.pop("parameters", {})
        whole = pb.JobSpec(**{"name": "delays", "experiment": "delays", "entry_point": entry_point, **spec})
        whole.parameters.update(parameters)
        job: pb.Job = await self.jobs.SubmitJob(pb.SubmitJobRequest(spec=whole, request_id=request_id))
        return job

    async def job(self, job_id: str) -> pb.Job:
        found: pb.Job = await self.jobs.GetJob(pb.GetJobRequest(job_id=job_id))
        return found

    async def until(self, job: pb.Job, holds: Callable[[pb.Job], bool], what: str) -> pb.Job:
        """Wait until something holds of a job; says how the job stood when it does not in time."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen = await self.job(job.id)
            if holds(seen):
                return seen
            if time.monotonic() > deadline:
                raise AssertionError(f"the job should be {what} within {PATIENCE_S:g} s; it is\n{seen}")
            await asyncio.sleep(LOOK_S)

    async def ended(self, job: pb.Job) -> pb.Job:
        return await self.until(job, lambda seen: seen.status in ENDED, "ended")

    async def running(self, job: pb.Job) -> pb.Job:
        """Wait until the job's own code runs, which is when it has a run and has printed "working"."""
        await self.prints(job, "working")
        return await self.job(job.id)

    async def prints(self, job: pb.Job, text: str) -> str:
        """Wait until a job's log holds a text; returns all of the log up to then."""
        log, offset = "", 0
        deadline = time.monotonic() + PATIENCE_S
        while text not in log:
            part = await self.log_part(job, offset, follow=True)
            log, offset = log + part.text, part.next_offset
            if (part.complete or time.monotonic() > deadline) and text not in log:
                raise AssertionError(f"the log should hold {text!r}; it holds\n{log}\n{await self.job(job.id)}")
        return log

    async def log_part(self, job: pb.Job, offset: int = 0, *, follow: bool = False) -> pb.GetJobLogsResponse:
        request = pb.GetJobLogsRequest(job_id=job.id, offset=offset, follow=follow)
        part: pb.GetJobLogsResponse = await self.jobs.GetJobLogs(request)
        return part

    async def log(self, job: pb.Job) -> str:
        return str((await self.log_part(job)).text)

    async def run(self, run_id: str) -> experiment_pb2.Run:
        found: experiment_pb2.Run = await self.runs.GetRun(experiment_pb2.GetRunRequest(run_id=run_id))
        return found

    async def versions(self, model: str) -> list[model_pb2.ModelVersion]:
        found = await self.models.ListVersions(model_pb2.ListVersionsRequest(model=model))
        return list(found.versions)


def expect(kind: str, column: str = "", **bounds: Any) -> dataset_pb2.Expectation:
    return dataset_pb2.Expectation(kind=kind, column=column, **bounds)


SAVES = f"""
import pathlib
def save(context, content=b"a model", **more):
    file = pathlib.Path("model.ubj")
    file.write_bytes(content)
    context.save_model(file, flavor="xgboost", signature={SIGNATURE}, **more)
"""
# Code that stops in the middle until the file `gate` exists.
WAITS = """
import pathlib, time
def wait(context):
    print("working", flush=True)
    while not pathlib.Path(context.params["gate"]).exists():
        time.sleep(0.05)
"""
