"""A real GPU under a real load is sampled as it is; skipped, with the reason, where there is none.

It needs pytest, the SDK's packages and PyTorch with CUDA:
PYTHONPATH=libs/sdk/src:libs/proofs/src python -m pytest -c /dev/null --noconftest tests/servers/gpus
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from modelog.gpus import Gpus
from modelog.system_metrics import Sampler, hardware

WAIT_S = 60.0
ALLOCATED = 2 << 30
# What CUDA takes beside it: whole pages of 2 MiB.
SPARE_MB = 64.0


@pytest.fixture(scope="module")
def torch() -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch, which is the load, is not installed")
    if not torch.cuda.is_available():
        pytest.skip(f"PyTorch {torch.__version__} sees no GPU on this machine")
    torch.zeros(1, device="cuda:0")  # CUDA's own memory is taken before anything is compared
    return torch


@contextmanager
def busy(torch: Any) -> Iterator[None]:
    """The first GPU multiplies matrices meanwhile."""
    over = threading.Event()

    def multiply() -> None:
        matrix = torch.randn(4096, 4096, device="cuda:0")
        while not over.is_set():
            for _ in range(20):
                matrix @ matrix
            torch.cuda.synchronize()

    thread = threading.Thread(target=multiply)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_memory_grows_by_what_is_allocated(torch: Any) -> None:
    gpus, name = Gpus(), "gpu_0_memory_usage_megabytes"
    torch.cuda.empty_cache()
    before = gpus.sample()
    held = torch.empty(ALLOCATED, dtype=torch.uint8, device="cuda:0")
    during = gpus.sample()
    del held
    torch.cuda.empty_cache()
    after = gpus.sample()
    grown = during[name] - before[name]
    assert ALLOCATED / 1e6 <= grown < ALLOCATED / 1e6 + SPARE_MB
    assert abs(after[name] - before[name]) < SPARE_MB
    total = torch.cuda.get_device_properties(0).total_memory / 1e6
    percent = during["gpu_0_memory_usage_percentage"]
    assert percent == pytest.approx(during[name] / total * 100, rel=0.05)


def test_a_sampler_sees_the_load(torch: Any) -> None:
    """Utilization and power by the thread that a run has, while another thread computes."""
    samples: list[dict[str, float]] = []
    seen = threading.Event()

    def take(sample: dict[str, float], _step: int) -> None:
        samples.append(sample)
        if sample.get("system/gpu_0_utilization_percentage", 0.0) > 50:
            seen.set()

    sampler = Sampler(take, interval_s=0.2)
    idle = Gpus().sample()
    with busy(torch):
        sampler.start()
        found = seen.wait(WAIT_S)
        sampler.stop()
    told = [sample.get("system/gpu_0_utilization_percentage") for sample in samples]
    assert found, f"no sample of {WAIT_S:g} s says that the GPU is busy for more than half of the time: {told}"
    most = max(samples, key=lambda sample: sample["system/gpu_0_power_usage_watts"])
    assert all(0 <= value <= 100 for value in told if value is not None)
    assert most["system/gpu_0_power_usage_watts"] > idle["gpu_0_power_usage_watts"] > 0
    assert 0 < most["system/gpu_0_power_usage_percentage"] < 120
    assert "system/cpu_utilization_percentage" in most
    print("\nidle", idle, "\nbusy", {name: value for name, value in most.items() if "gpu" in name})


def test_an_idle_gpu_comes_to_rest(torch: Any) -> None:
    """What is told is of now, and not the most that ever was."""
    gpus, until = Gpus(), time.monotonic() + WAIT_S
    torch.cuda.synchronize()
    while (told := gpus.sample()["gpu_0_utilization_percentage"]) > 0:
        assert time.monotonic() < until, f"after {WAIT_S:g} s without work it is said to be busy for {told} %"


def test_hardware_is_what_nvidia_s_own_command_and_pytorch_say(torch: Any) -> None:
    found = hardware()
    assert found["gpu_0"] == torch.cuda.get_device_name(0)
    assert tuple(map(int, found["cuda"].split("."))) >= tuple(map(int, torch.version.cuda.split(".")))
    smi = shutil.which("nvidia-smi")
    if smi is None:
        pytest.skip("there is no nvidia-smi to compare the driver's version with")
    query = [smi, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    told = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"{found['gpu_0']}, {found['gpu_driver']}" == told[0].strip()
    assert len([name for name in found if name.startswith("gpu_") and name[4:].isdigit()]) == len(told)
    print("\n", found)
