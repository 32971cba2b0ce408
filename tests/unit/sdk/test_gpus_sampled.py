"""What the SDK makes of what NVML tells, and does not tell, of GPUs; tests/servers/gpus asks the real one."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import modelog.gpus as gpus_module
import pynvml
import pytest
from modelog.gpus import Gpus
from modelog.system_metrics import Machine, hardware

MEMORY = SimpleNamespace(total=80_000_000_000, used=20_000_000_000)
SLICE = SimpleNamespace(total=10_000_000_000, used=1_000_000_000)
WHOLE = {
    "memory_usage_megabytes": 20_000.0,
    "memory_usage_percentage": 25.0,
    "utilization_percentage": 37.0,
    "power_usage_watts": 350.0,
    "power_usage_percentage": 50.0,
}


def gpu(**told: Any) -> dict[str, Any]:
    """What a device tells by NVML's functions; an error is raised."""
    return {
        "nvmlDeviceGetName": b"NVIDIA H100 80GB HBM3",
        "nvmlDeviceGetMemoryInfo": MEMORY,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=37, memory=4),
        "nvmlDeviceGetPowerUsage": 350_000,
        "nvmlDeviceGetEnforcedPowerLimit": 700_000,
        "nvmlDeviceGetMaxMigDeviceCount": 0,
        **told,
    }


@dataclass
class Driver:
    """Stands in for NVML's library; the names of its functions and its errors are the package's own."""

    gpus: list[Any] = field(default_factory=list)
    begins: Any = None
    systems: ClassVar = {"nvmlSystemGetDriverVersion": "580.159.04", "nvmlSystemGetCudaDriverVersion": 13_000}

    def replace(self, monkeypatch: pytest.MonkeyPatch) -> Driver:
        monkeypatch.setattr(pynvml, "nvmlInit", lambda: told(self.begins))
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: len(self.gpus))
        monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda n: told(self.gpus[n]))
        monkeypatch.setattr(pynvml, "nvmlDeviceGetMigDeviceHandleByIndex", lambda g, m: told(g["instances"][m]))
        for name in gpu():
            monkeypatch.setattr(pynvml, name, lambda g, name=name: told(g[name]))
        for name, version in self.systems.items():
            monkeypatch.setattr(pynvml, name, lambda version=version: version)
        return self


def told(what: Any) -> Any:
    if isinstance(what, Exception):
        raise what
    return what


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Driver:
    # Whatever ran in this process before has set.
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(gpus_module.log, "disabled", False)
    return Driver().replace(monkeypatch)


def test_each_gpu_is_told_by_mlflows_names(driver: Driver) -> None:
    driver.gpus = [gpu(), gpu(nvmlDeviceGetPowerUsage=70_000)]
    second = {**WHOLE, "power_usage_watts": 70.0, "power_usage_percentage": 10.0}
    expected = {f"gpu_0_{name}": value for name, value in WHOLE.items()}
    expected |= {f"gpu_1_{name}": value for name, value in second.items()}
    assert Gpus().sample() == expected


def test_they_stand_among_the_system_metrics(driver: Driver) -> None:
    driver.gpus = [gpu()]
    sample = Machine().sample()
    assert {name: sample[f"system/gpu_0_{name}"] for name in WHOLE} == WHOLE
    assert "system/cpu_utilization_percentage" in sample


def test_what_a_gpu_does_not_tell_is_left_out_and_the_rest_is_told(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    not_supported = pynvml.NVMLError_NotSupported()
    driver.gpus = [gpu(nvmlDeviceGetPowerUsage=not_supported), gpu(nvmlDeviceGetEnforcedPowerLimit=not_supported)]
    driver.gpus.append(gpu(nvmlDeviceGetMemoryInfo=not_supported))
    found = Gpus().sample()
    assert {name for name in found if "gpu_0" in name} == {f"gpu_0_{name}" for name in WHOLE if "power" not in name}
    assert {name for name in found if "gpu_1" in name} == {f"gpu_1_{n}" for n in WHOLE if n != "power_usage_percentage"}
    assert {name for name in found if "gpu_2" in name} == {f"gpu_2_{name}" for name in WHOLE if "memory" not in name}
    assert not caplog.records, "a GPU that has no such reading is nothing to warn of"


def test_a_divided_gpu_tells_the_memory_of_its_instances(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    """As NVML has it: no utilization of the whole, of an instance its memory, and gaps between their numbers."""
    not_supported = pynvml.NVMLError_NotSupported()
    instance = {"nvmlDeviceGetMemoryInfo": SLICE, "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3 MIG 1g.10gb"}
    whole = gpu(nvmlDeviceGetUtilizationRates=not_supported, nvmlDeviceGetMaxMigDeviceCount=3)
    whole["instances"] = [instance, pynvml.NVMLError_NotFound(), instance]
    driver.gpus = [whole]
    gpus = Gpus()
    slices = {"memory_usage_megabytes": 1_000.0, "memory_usage_percentage": 10.0}
    expected = {f"gpu_0_{name}": value for name, value in WHOLE.items() if name != "utilization_percentage"}
    expected |= {f"gpu_0_mig_{m}_{name}": value for m in (0, 2) for name, value in slices.items()}
    assert gpus.sample() == expected
    assert gpus.hardware()["gpu_0_mig_2"] == "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    assert not caplog.records


def test_one_that_fails_in_mid_run_is_warned_of_once_and_the_others_go_on(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    failing = gpu()
    driver.gpus = [failing, gpu()]
    machine = Machine()
    machine.sample()
    failing.update({name: pynvml.NVMLError_GpuIsLost() for name in gpu()})
    for _ in range(3):
        sample = machine.sample()
        assert not [name for name in sample if "gpu_0" in name]
        assert sample["system/gpu_1_power_usage_watts"] == 350.0
        assert "system/disk_usage_percentage" in sample
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.text.count("gpu_0 cannot be read (NVML: ") == 1
    failing.update(gpu())
    assert machine.sample()["system/gpu_0_utilization_percentage"] == 37.0
    failing["nvmlDeviceGetUtilizationRates"] = pynvml.NVMLError_Unknown()
    assert machine.sample()["system/gpu_0_power_usage_watts"] == 350.0, "what it still tells is told"
    assert len(caplog.records) == 2, "a second failure is another one"


def test_a_gpu_that_was_lost_before_leaves_the_others_their_numbers(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.gpus = [pynvml.NVMLError_GpuIsLost(), gpu()]
    assert {name[:5] for name in Gpus().sample()} == {"gpu_1"}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [pynvml.NVMLError_LibraryNotFound(), pynvml.NVMLError_DriverNotLoaded()])
def test_a_machine_without_a_driver_has_none_and_says_nothing(
    driver: Driver, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    driver.begins, driver.gpus = error, [gpu()]
    assert Gpus().sample() == {} == Gpus().hardware()
    assert not caplog.records


def test_a_driver_that_fails_is_warned_of(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    driver.begins, driver.gpus = pynvml.NVMLError_LibRmVersionMismatch(), [gpu()]
    sample = Machine().sample()
    assert not [name for name in sample if "gpu" in name]
    assert caplog.text.count("GPUs cannot be read (NVML: ") == 1


def test_without_nvmls_package_there_are_none(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.gpus = [gpu()]
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpus().sample() == {} == Gpus().hardware()


def test_hardware_names_gpus_driver_and_cuda(driver: Driver) -> None:
    driver.gpus = [gpu(), gpu(nvmlDeviceGetName="NVIDIA L4"), gpu(nvmlDeviceGetName=pynvml.NVMLError_GpuIsLost())]
    found = hardware()
    assert (found["gpu_0"], found["gpu_1"]) == ("NVIDIA H100 80GB HBM3", "NVIDIA L4")
    assert (found["gpu_driver"], found["cuda"]) == ("580.159.04", "13.0")
    assert "gpu_2" not in found, "a name that cannot be read keeps no run from starting"
