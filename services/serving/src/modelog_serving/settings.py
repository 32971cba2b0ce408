"""Settings of the serving process alone, from the environment (prefix MODELOG_SERVING_)."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from modelog_common.variables import Variables, checked
from msgspec import Meta

from modelog_serving.routing.only import Only
from modelog_serving.worker.limits import Device, Limits

PREFIX = "MODELOG_SERVING_"
MOST_WORKERS = 30
DEVICE = r"auto|cpu|cuda(:[0-9]{1,2})?"


class ServingSettings(Variables, prefix=PREFIX):
    """How the inference server uses its machine.

    `threads` is how many threads one prediction uses; `models` how many loaded models stay that no traffic needs;
    `log_max_bytes` how large the prediction log may grow, 0 for as large as the disk; `log_keep_s` how old what is
    published becomes before it is dropped, 0 for ever; `traffic_window_s` how long the windows are in which traffic is
    measured, each an event of the log for a deployment that had requests. A tenant's part of the prediction log is
    sealed when it is `segment_s` old or has `segment_bytes`, each segment an event of the log. Nobody waits longer than
    `cache_patience_ms` for a cache of answers. A model in a process of its own may take `worker_predict_s` for an
    answer, `worker_load_s` to be loaded, and `worker_memory_mb` of memory, 0 for any. PyTorch computes on
    `torch_device`: cpu, cuda:N, which must be there, or auto, a GPU where there is one; of its memory each such model
    may use `torch_device_memory_mb`, 0 for any.

    With `workers` of more than 1 so many processes answer requests, on the same ports, and this one decides; `auto` is
    one less than there are processors. A replica is always one process.

    With `trials` versions are tried soon after they are registered, one at a time, each in a process that may take what
    models in processes of their own may.

    `replicas` says where deployments run besides this process; `only`, such as acme/flights or acme/flights@1.1.0,
    makes this process one of those replicas, which answers for that deployment, or that version of it, and no other.

    With `ray` models are computed by replicas on the Ray Serve of the cluster whose head is at `ray_address`, each of
    which takes `ray_cpus` of Ray's; one that no traffic needs keeps its replicas for `ray_unused_s` after it was asked.
    `ray_installation` tells the applications of several platforms in one cluster apart.
    """

    threads: Annotated[int, Meta(ge=1, le=64)] = 1
    models: Annotated[int, Meta(ge=0, le=1000)] = 8
    log_max_bytes: Annotated[int, Meta(ge=0)] = 0
    log_keep_s: Annotated[int, Meta(ge=0)] = 0
    workers: int | Literal["auto"] = 1
    replicas: Literal["local", "kubernetes", "ray"] = "local"
    ray_address: Annotated[str, Meta(pattern=r"^([^/\s]+:[0-9]{1,5})?$")] = ""
    ray_installation: Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")] = "modelog"
    ray_cpus: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    ray_unused_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    only: Annotated[str, Meta(pattern=r"^([^/@]+/[^/@]+(@[^/@]+)?)?$")] = ""
    traffic_window_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    segment_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    segment_bytes: Annotated[int, Meta(ge=1, le=256_000_000)] = 8_000_000
    cache_patience_ms: Annotated[int, Meta(ge=1, le=10_000)] = 10
    worker_predict_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    worker_load_s: Annotated[float, Meta(gt=0, le=3600)] = 300.0
    worker_memory_mb: Annotated[int, Meta(ge=0)] = 4096
    torch_device: str = "cpu"
    torch_device_memory_mb: Annotated[int, Meta(ge=0)] = 0
    trials: bool = True

    @property
    def limits(self) -> Limits:
        """What models in processes of their own may take."""
        device = Device(self.torch_device, self.torch_device_memory_mb << 20)
        return Limits(self.worker_predict_s, self.worker_load_s, self.worker_memory_mb << 20, device)

    @checked("torch_device")
    def _known(self, device: str) -> str:
        if not re.fullmatch(DEVICE, device):
            raise ValueError("it must be cpu, auto, cuda or cuda:N, the number of a GPU from 0 on")
        return device

    @checked("workers")
    def _some(self, workers: int | str) -> int | str:
        if isinstance(workers, int) and not 1 <= workers <= MOST_WORKERS:
            raise ValueError(f"it must be auto, or from 1 to {MOST_WORKERS}")
        return workers

    def crew(self) -> int:
        """How many worker processes answer requests; 0 where this process does it itself."""
        if self.only:
            return 0
        wanted = max(1, processors() - 1) if self.workers == "auto" else self.workers
        return wanted if wanted > 1 else 0

    def answers_for(self) -> Only | None:
        """What this process answers for; None for everything."""
        return Only.parse(self.only) if self.only else None


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_serving_settings() -> ServingSettings:
    """Read them; raises Invalid, naming the environment variables, when one is wrong."""
    return ServingSettings.read()
