"""The peers of the REST bench, each serving the same XGBoost model from an environment of its own.

Made once by `python bench_rest.py --install`; the bench leaves out whichever is not there, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from modelog_platform.parts.ports import free_ports
from modelog_platform.servers.packages import python_environment
from modelog_platform.servers.recipe import servers_home

START_S = 180
REQUIREMENTS = {
    "mlserver": ("mlserver==1.7.1", "mlserver-xgboost==1.7.1"),
    "bentoml": ("bentoml==1.4.40", "xgboost-cpu==3.2.0", "numpy==2.4.6"),
    "mlflow": ("mlflow==3.17.2", "xgboost-cpu==3.2.0"),
}
BENTO = """
import bentoml
import numpy as np
import xgboost

@bentoml.service(workers=1)
class Flights:
    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file="model.ubj")
        self.booster.set_param("nthread", 1)

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.booster.inplace_predict(rows.astype(np.float32))
"""
SAVE = """
import mlflow.xgboost, xgboost
mlflow.xgboost.save_model(xgboost.Booster(model_file="model.ubj"), "saved", model_format="ubj")
"""


@dataclass(frozen=True)
class Peer:
    """A server that runs: where it takes a prediction, in which form, and its process."""

    name: str
    port: int
    path: str
    process: subprocess.Popen[bytes]

    def body(self, rows: Sequence[Sequence[float]], columns: Sequence[str]) -> dict[str, Any]:
        """A request for some rows."""
        if self.name == "mlserver":
            return oip_body(rows)
        if self.name == "bentoml":
            return {"rows": rows}
        return {"dataframe_split": {"columns": columns, "data": rows}}


def oip_body(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A request of the inference protocol."""
    flat = [value for row in rows for value in row]
    return {"inputs": [{"name": "features", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": flat}]}


def python_of(name: str) -> Path:
    return servers_home() / f"peer-{name}" / "venv" / "bin" / "python"


def install(name: str, wanted: Sequence[str] = ()) -> None:
    """Make a peer's environment, unless it is there."""
    home, wanted = servers_home() / f"peer-{name}", tuple(wanted or REQUIREMENTS[name])
    python_environment(home, repr((sys.version_info[:2], wanted)).encode(), wanted)


@contextmanager
def serving(name: str, model: bytes, folder: Path, pinned: Sequence[str]) -> Iterator[Peer]:
    """The peer with the model, on the cores that the command `pinned` gives it."""
    folder.mkdir()
    (folder / "model.ubj").write_bytes(model)
    port, other, third = free_ports(3)
    python = python_of(name)
    if name == "mlserver":
        settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": other, "metrics_port": third}
        (folder / "settings.json").write_text(json.dumps(settings | {"parallel_workers": 0, "debug": False}))
        about = {"name": "flights", "implementation": "mlserver_xgboost.XGBoostModel"}
        (folder / "model-settings.json").write_text(json.dumps(about | {"parameters": {"uri": "./model.ubj"}}))
        command, path, ready = (
            [python.parent / "mlserver", "start", "."],
            "/v2/models/flights/infer",
            "/v2/health/ready",
        )
    elif name == "bentoml":
        (folder / "service.py").write_text(BENTO)
        command = [python.parent / "bentoml", "serve", "service:Flights", "--host", "127.0.0.1", "--port", str(port)]
        path, ready = "/predict", "/readyz"
    else:
        subprocess.run([python, "-c", SAVE], cwd=folder, env=plain(python), check=True, capture_output=True)
        command = [python.parent / "mlflow", "models", "serve", "-m", "saved", "--env-manager", "local"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        path, ready = "/invocations", "/ping"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*pinned, *command], cwd=folder, env=plain(python), stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}{ready}", process, folder / "log")
            yield Peer(name, port, path, process)
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and all that it started."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in family:
        one.terminate()
    for one in psutil.wait_procs(family, timeout=20)[1]:
        one.kill()
    process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    over = time.monotonic() + START_S
    while time.monotonic() < over:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except (OSError, urllib.error.URLError):
            if process.poll() is not None:
                raise RuntimeError(log.read_text()[-4000:]) from None
            time.sleep(0.2)
    raise RuntimeError(f"{url} did not answer within {START_S} s: {log.read_text()[-4000:]}")


def plain(python: Path) -> dict[str, str]:
    """The environment of a peer's processes: nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELOG_", "PYTHON", "MLFLOW"))}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": "1"}
    return {**kept, **quiet, "PATH": f"{python.parent}:{kept['PATH']}"}
