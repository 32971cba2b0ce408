"""Serving whose models are computed on Ray Serve, by a Ray of the test session's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from modelog_platform.parts.ports import free_port
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, Caller

# A replica takes a minute to start on a busy machine.
PATIENCE_S = 240.0
ROWS = np.random.default_rng(8).normal(size=(500, len(COLUMNS))).astype(np.float32)


@dataclass
class RayHead:
    """A Ray that runs."""

    address: str
    process: subprocess.Popen[str]

    def processes(self) -> list[psutil.Process]:
        """All that it started, replicas among them."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def replicas(self) -> list[psutil.Process]:
        """Those of Ray Serve that have models."""
        return [p for p in self.processes() if _line(p).startswith("ray::ServeReplica:modelog-")]


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def ray_head(cpus: int = 8, port: int = 0) -> Iterator[RayHead]:
    """One of this machine's own, ended with all that it started."""
    # A Unix socket's name has at most 107 bytes, so this is no folder of pytest's.
    folder = Path(tempfile.mkdtemp(prefix="mr-", dir="/tmp"))
    port = port or free_port()
    command = [sys.executable, str(Path(__file__).with_name("ray_head.py")), str(folder), str(cpus), str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELOG_", "COVERAGE", "COV_"))}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=kept)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, f"Ray did not start: it ended with status {process.wait(150)}"
        yield RayHead(address, process)
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for one in family:
            one.kill()
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def request(rows: np.ndarray[Any, Any], prediction_id: str = "", name: str = "flights") -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "features", "datatype": "FP32", "shape": rows.shape}],
        raw_input_contents=[rows.astype("<f4").tobytes()],
    )
    if prediction_id:
        message.parameters["prediction_id"].string_param = prediction_id
    return message


async def deploy(who: Caller, version: str = "1.0.0", name: str = "flights") -> pb.Deployment:
    """With time for Ray to start a process."""
    asked = pb.CreateDeploymentRequest(
        name=name, model="flight-delay", version=version, environment=pb.DEPLOYMENT_ENVIRONMENT_DEV
    )
    made: pb.Deployment = await who.deployments.CreateDeployment(asked, timeout=PATIENCE_S)
    return made


async def answer(who: Caller, rows: np.ndarray[Any, Any], prediction_id: str = "", name: str = "flights") -> Any:
    found = await who.inference.ModelInfer(request(rows, prediction_id, name), timeout=PATIENCE_S)
    return np.frombuffer(found.raw_output_contents[0], "<f4")
