"""PyTorch, transformers, TensorFlow and MLflow keep what every runtime promises: run where they are installed."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest
from clients import client

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# Packages that the environment lacks are ours; those that it has come first.
SITE = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n"
TIMEOUT_S = 480
pytestmark = pytest.mark.timeout(900)


MODULES = {
    "torch_models": "3.17.2 with PyTorch",
    "transformers_models": "3.17.2 with PyTorch",
    "tensorflow_models": "3.17.2 with TensorFlow",
    "mlflow_models": "3.17.2",
}


# The same suites where PyTorch computes on a GPU, and what only a GPU has.
ON_A_GPU = ("torch_models", "transformers_models", "gpu_models")


@pytest.mark.parametrize("module", MODULES)
def test_models_of_a_framework_keep_what_every_runtime_promises(module: str, tmp_path: Path) -> None:
    passes(module, MODULES[module], tmp_path, {"CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="there is no NVIDIA GPU on this machine")
@pytest.mark.parametrize("module", ON_A_GPU)
def test_models_on_a_gpu_keep_it_too(module: str, tmp_path: Path) -> None:
    gpu = {"MODELOG_TEST_TORCH_DEVICE": "cuda:0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    passes(module, MODULES["torch_models"], tmp_path, gpu)


def passes(module: str, environment: str, tmp_path: Path, settings: Mapping[str, str]) -> None:
    """A module of tests, in an environment that has the framework."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    sources = [ROOT / "services" / "serving" / "src", ROOT / "libs" / "common" / "src"]
    suite = ROOT / "tests" / "contract" / "serving_runtimes"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))}
    plugins = ["--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-p", "no:randomly"]
    command = [client(environment).python, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path, *plugins]
    done = subprocess.run(
        [*command, HERE / "frameworks" / f"{module}.py"],
        cwd=tmp_path,
        env=kept
        | {
            "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, *sources, suite, HERE / "frameworks"))),
            "TMPDIR": str(tmp_path),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        | settings,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, f"{module} in {environment}:\n{done.stdout[-12000:]}\n{done.stderr[-4000:]}"
