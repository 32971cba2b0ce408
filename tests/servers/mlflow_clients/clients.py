"""Unmodified MLflow clients of exact versions, each in an environment of its own, made when it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from modelog_platform.servers.packages import python_environment
from modelog_platform.servers.recipe import servers_home

PROGRAMS = Path(__file__).parent / "programs"
LIBS = Path(__file__).parents[3] / "libs"
# What log_model and load_model of the flavours in the tests import besides.
FLAVOURS = (
    "scikit-learn==1.9.1", "pandas==2.3.3", "numpy==2.4.6", "scipy==1.17.1",
    "xgboost-cpu==3.2.0", "lightgbm==4.7.0", "matplotlib==3.11.2",
)  # fmt: skip
REQUIREMENTS = {
    "3.17.2": ("mlflow-skinny==3.17.2", "skops==0.16.0", *FLAVOURS),
    "2.22.5": ("mlflow-skinny==2.22.5", "setuptools<81", *FLAVOURS),
}
# Several gigabytes, since PyTorch comes with CUDA; with uv the clients share its files.
_DEEP = (
    "torch==2.15.0", "accelerate==1.15.0", "lightning==2.6.6", "keras==3.15.1", "onnx==1.23.2", "onnxruntime==1.32.0",
    "skl2onnx==1.20.0",
)  # fmt: skip
DEEP_LEARNING = {
    "3.17.2 with PyTorch": (
        *REQUIREMENTS["3.17.2"], *_DEEP, "transformers==5.24.0",
        # What our SDK needs.
        "httpx==0.28.1", "msgspec==0.22.0", "typer==0.29.2", "psutil==7.2.2",
    ),
    "2.22.5 with PyTorch": (*REQUIREMENTS["2.22.5"], *_DEEP, "transformers==4.57.6"),
}  # fmt: skip
# Apart from PyTorch: Hugging Face's library looks for TensorFlow, and does not know Keras 3 with it.
TENSORFLOW = {
    f"{version} with TensorFlow": (*REQUIREMENTS[version], "tensorflow-cpu==2.21.0", "tensorboard==2.21.0")
    for version in REQUIREMENTS
}
PROGRAM_TIMEOUT_S = 480


@dataclass(frozen=True)
class MlflowClient:
    """A client of one version."""

    version: str
    python: Path

    def run(self, program: str, folder: Path, url: str, token: str, *arguments: str, own_sdk: bool = False) -> str:
        """Run one of the programs against a server; returns what it printed. Its assertions are those of the test.

        With `own_sdk` it can import our SDK, too.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
        environment |= {
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_TRACKING_TOKEN": token,
            # A refusal is to be seen at once, and not after minutes of repeating it.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        if own_sdk:
            sources = os.pathsep.join(str(LIBS / name / "src") for name in ("sdk", "proofs"))
            environment |= {"MODELOG_URL": url, "MODELOG_TOKEN": token, "PYTHONPATH": sources}
        done = subprocess.run(
            [self.python, PROGRAMS / f"{program}.py", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT_S,
        )
        assert done.returncode == 0, f"mlflow {self.version} with {program}.py:\n{done.stdout}\n{done.stderr[-8000:]}"
        return done.stdout


def client(version: str) -> MlflowClient:
    """The client of this version, installed if it is not there yet."""
    home = servers_home() / f"mlflow-{version.replace(' ', '-')}"
    wanted = (REQUIREMENTS | DEEP_LEARNING | TENSORFLOW)[version]
    return MlflowClient(version, python_environment(home, repr((sys.version_info[:2], wanted)).encode(), wanted))
