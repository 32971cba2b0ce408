"""What a machine is busy with while a run is active: `system/...` metrics, under the names that MLflow gives them."""

from __future__ import annotations

import os
import platform
import threading
from contextlib import suppress
from typing import Callable, Dict, Optional

from modelog.errors import Unavailable
from modelog.gpus import MB, Gpus

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
        self._gpus = Gpus()

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
        found.update({f"system/{name}": value for name, value in self._gpus.sample().items()})
        return found


def hardware() -> Dict[str, str]:
    """What the machine is: processor, cores, memory, GPUs with their driver."""
    found = {"cpu": _processor(), "cores": str(os.cpu_count() or "")}
    with suppress(AttributeError, ValueError, OSError):  # Windows does not tell it this way
        found["memory_bytes"] = str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    found.update(Gpus().hardware())
    return {name: value for name, value in found.items() if value}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as told:
            lines = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
    except OSError:
        lines = []
    return lines[0] if lines else platform.processor() or platform.machine()


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
