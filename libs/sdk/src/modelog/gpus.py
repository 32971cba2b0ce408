"""What NVIDIA's GPUs are, and are busy with, by NVML: https://docs.nvidia.com/deploy/nvml-api/

Metrics have the names that MLflow gives them. Of a GPU that is divided (MIG) NVML does not tell the utilization, but
memory of each of its instances: `gpu_0_mig_0_memory_usage_megabytes`.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

MB = 1e6
MIG = "_mig_"
log = logging.getLogger(__name__)


class Gpus:
    """Those of this machine; none where NVML's package, driver or devices are missing.

    What a GPU does not tell is left out. One that should be read and cannot be is warned of once, and again only if it
    could be read meanwhile.
    """

    def __init__(self) -> None:
        self._nvml: Any = _begun()
        self._failing: Set[str] = set()
        self._found: List[Tuple[str, Any]] = self._listed() if self._nvml is not None else []

    def sample(self) -> Dict[str, float]:
        """By the names of the metrics, without `system/`: percent, megabytes (10^6 bytes) and watts."""
        found: Dict[str, float] = {}
        for name, gpu in self._found:
            readings = (self._memory,) if MIG in name else (self._memory, self._utilization, self._power)
            for told in self._read(name, readings, gpu):
                found.update({f"{name}_{what}": value for what, value in told.items()})
        return found

    def hardware(self) -> Dict[str, str]:
        """The name of each GPU and instance, the version of the driver, and of CUDA the newest that it runs."""
        found = {name: told for name, gpu in self._found for told in self._read(name, (self._name,), gpu)}
        if self._found:
            nvml = self._nvml
            versions = {"gpu_driver": lambda: _text(nvml.nvmlSystemGetDriverVersion()), "cuda": self._cuda}
            found.update({name: told for name, ask in versions.items() for told in self._read(name, (ask,))})
        return found

    def _listed(self) -> List[Tuple[str, Any]]:
        nvml = self._nvml
        found: List[Tuple[str, Any]] = []
        for count in self._read("NVML", (nvml.nvmlDeviceGetCount,)):
            for n in range(count):
                for gpu in self._read(f"gpu_{n}", (nvml.nvmlDeviceGetHandleByIndex,), n):
                    found += [(f"gpu_{n}", gpu), *self._instances(n, gpu)]
        return found

    def _instances(self, n: int, gpu: Any) -> List[Tuple[str, Any]]:
        """Of a GPU that is divided; their numbers may have gaps."""
        nvml = self._nvml
        found = []
        try:
            for m in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
                try:
                    found.append((f"gpu_{n}{MIG}{m}", nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, m)))
                except nvml.NVMLError_NotFound:
                    continue
        except (nvml.NVMLError, AttributeError):  # it cannot be divided, or an old package knows nothing of it
            pass
        return found

    def _read(self, name: str, readings: "Tuple[Callable[..., Any], ...]", *asked: Any) -> List[Any]:
        """What is told, of each reading; nothing for what a GPU has not, or does not tell to everybody."""
        nvml, found = self._nvml, []
        failed: Optional[Exception] = None
        for reading in readings:
            try:
                found.append(reading(*asked))
            except (nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission, nvml.NVMLError_FunctionNotFound):
                continue
            except nvml.NVMLError as error:
                failed = error
        if failed is None:
            self._failing.discard(name)
        elif name not in self._failing:
            self._failing.add(name)
            log.warning("%s cannot be read (NVML: %s); what it does not tell is left out until it does", name, failed)
        return found

    def _memory(self, gpu: Any) -> Dict[str, float]:
        told = self._nvml.nvmlDeviceGetMemoryInfo(gpu)
        found = {"memory_usage_megabytes": told.used / MB}
        if told.total:
            found["memory_usage_percentage"] = told.used / told.total * 100
        return found

    def _utilization(self, gpu: Any) -> Dict[str, float]:
        return {"utilization_percentage": float(self._nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)}

    def _power(self, gpu: Any) -> Dict[str, float]:
        milliwatts = self._nvml.nvmlDeviceGetPowerUsage(gpu)
        found = {"power_usage_watts": milliwatts / 1000}
        try:
            most = self._nvml.nvmlDeviceGetEnforcedPowerLimit(gpu)
        except self._nvml.NVMLError_NotSupported:
            most = 0
        if most:
            found["power_usage_percentage"] = milliwatts / most * 100
        return found

    def _name(self, gpu: Any) -> str:
        return _text(self._nvml.nvmlDeviceGetName(gpu))

    def _cuda(self) -> str:
        version = int(self._nvml.nvmlSystemGetCudaDriverVersion())
        return f"{version // 1000}.{version % 1000 // 10}"


def is_gpu(name: str) -> bool:
    """Whether hardware of this name is a GPU, or an instance of one."""
    return re.match(rf"gpu_[0-9]+({MIG}[0-9]+)?$", name) is not None


def _begun() -> Any:
    """NVML, ready to be asked; None without its package or a driver, and with a warning where the driver fails."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return None
    except pynvml.NVMLError as error:
        log.warning("GPUs cannot be read (NVML: %s); there will be no system metrics of them", error)
        return None
    return pynvml


def _text(told: Any) -> str:
    """Older packages give bytes."""
    return told.decode() if isinstance(told, bytes) else str(told)
