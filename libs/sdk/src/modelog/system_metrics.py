"""What a machine is busy with while a run is active: `system/...` metrics, under the names that MLflow gives them."""

from __future__ import annotations

import os
import platform
import threading
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

from modelog.errors import Unavailable

MB = 1e6
INTERVAL_S = 10.0
Take = Callable[[Dict[str, float], int], None]


class Sampler:
    """Samples on a thread of its own, from `start` to `stop`; `take` gets each sample and its step.

    A sample that cannot be taken or kept is left out: the run is not to fail for it.
    """

    def __init__(self, take: Take, interval_s: float = INTERVAL_S) -> None:
        self._take, self._interval_s = take, interval_s
        self._machine = Machine()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelog-system-metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last sample is taken."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        step, over = 0, False
        while not over:
            over = self._over.wait(self._interval_s)
            try:
                self._take(self._machine.sample(), step)
                step += 1
            except Exception:  # noqa: S112 - see the docstring; the next one may succeed
                continue


class Machine:
    """CPU, memory, disk, network and NVIDIA's GPUs. Raises Unavailable without psutil."""

    def __init__(self) -> None:
        try:
            import psutil
        except ImportError:
            raise Unavailable("system metrics need modelog[system]: `pip install modelog[system]`") from None
        self._psutil = psutil
        psutil.cpu_percent()  # the first call has nothing to compare with
        self._network = psutil.net_io_counters()
        self._nvml, self._gpus = _gpus()

    def sample(self) -> Dict[str, float]:
        psutil = self._psutil
        memory, disk, network = psutil.virtual_memory(), psutil.disk_usage(os.sep), psutil.net_io_counters()
        found = {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / MB,
            "system/system_memory_usage_percentage": memory.used / memory.total * 100,
            "system/disk_usage_percentage": disk.percent,
            "system/disk_usage_megabytes": disk.used / MB,
            "system/disk_available_megabytes": disk.free / MB,
        }
        if network is not None and self._network is not None:
            found["system/network_receive_megabytes"] = (network.bytes_recv - self._network.bytes_recv) / MB
            found["system/network_transmit_megabytes"] = (network.bytes_sent - self._network.bytes_sent) / MB
        for n, gpu in enumerate(self._gpus):
            found.update(self._gpu(n, gpu))
        return found

    def _gpu(self, n: int, gpu: Any) -> Dict[str, float]:
        nvml = self._nvml
        found = {}
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
            found[f"system/gpu_{n}_memory_usage_percentage"] = memory.used / memory.total * 100
            found[f"system/gpu_{n}_memory_usage_megabytes"] = memory.used / MB
            found[f"system/gpu_{n}_utilization_percentage"] = float(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
            power = nvml.nvmlDeviceGetPowerUsage(gpu)
            found[f"system/gpu_{n}_power_usage_watts"] = power / 1000
            found[f"system/gpu_{n}_power_usage_percentage"] = power / nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) * 100
        except nvml.NVMLError:
            pass  # some GPUs do not tell all of it
        return found


def hardware() -> Dict[str, str]:
    """What the machine is: processor, cores, memory, GPUs."""
    found = {"cpu": _processor(), "cores": str(os.cpu_count() or "")}
    with suppress(AttributeError, ValueError, OSError):  # Windows does not tell it this way
        found["memory_bytes"] = str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    nvml, gpus = _gpus()
    for n, gpu in enumerate(gpus):
        name = nvml.nvmlDeviceGetName(gpu)
        found[f"gpu_{n}"] = name.decode() if isinstance(name, bytes) else str(name)
    return {name: value for name, value in found.items() if value}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as told:
            lines = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
    except OSError:
        lines = []
    return lines[0] if lines else platform.processor() or platform.machine()


def _gpus() -> "tuple[Any, List[Any]]":
    """NVML and its devices; nothing without its package, driver or device."""
    try:
        import pynvml
    except ImportError:
        return None, []
    try:
        pynvml.nvmlInit()
        return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None, []


def sampler(take: Take, wanted: Optional[bool], interval_s: float) -> Optional[Sampler]:
    """One, unless it is not wanted; None where nobody says and psutil is not there."""
    if wanted is False:
        return None
    try:
        return Sampler(take, interval_s)
    except Unavailable:
        if wanted:
            raise
        return None
