"""Puts together what has models computed on Ray Serve."""

from __future__ import annotations

from pathlib import Path

from modelog_common.domain.errors import Invalid
from modelog_common.service import Host

from modelog_serving.plane import Plane
from modelog_serving.rayserve.cluster import Cluster
from modelog_serving.rayserve.keeper import Keeper
from modelog_serving.rayserve.remote import RayRuntimes, missing
from modelog_serving.settings import PREFIX, ServingSettings

ADDRESS = f"{PREFIX}RAY_ADDRESS"


def runtimes_of(own: ServingSettings, folder: Path) -> RayRuntimes:
    """Runtimes that load models on Ray Serve, from a folder that its nodes see.

    Raises Invalid for settings that cannot be, and where Ray Serve is not installed.
    """
    with_ray = f"with {PREFIX}REPLICAS=ray"
    lacks = missing()
    if lacks:
        raise Invalid.field(f"{PREFIX}REPLICAS", f"is ray, which {lacks}")
    if not own.ray_address:
        raise Invalid.field(
            ADDRESS,
            f"is not set; {with_ray} it is host:port of Ray's head, such as 127.0.0.1:6379 of `ray start --head`",
        )
    if own.only:
        raise Invalid.field(f"{PREFIX}ONLY", f"is {own.only!r}; {with_ray} it is not set: replicas are Ray Serve's")
    if own.crew():
        raise Invalid.field(
            f"{PREFIX}WORKERS", f"is {own.workers}; {with_ray} allowed is 1: replicas compute, one process answers"
        )
    if own.torch_device != "cpu":
        raise Invalid.field(
            f"{PREFIX}TORCH_DEVICE", f"is {own.torch_device!r}; {with_ray} allowed is cpu: replicas ask Ray for no GPU"
        )
    cluster = Cluster(own.ray_address, own.ray_installation, own.ray_cpus)
    return RayRuntimes(cluster, folder, own.threads, own.limits)


def start(host: Host, own: ServingSettings, plane: Plane) -> None:
    """Keep replicas as the log wants them, in the process that decides on deployments."""
    runtimes = plane.runtimes
    if not isinstance(runtimes, RayRuntimes):
        raise TypeError(f"models are loaded by {type(runtimes).__name__}")
    keeper = Keeper(
        runtimes,
        plane.models,
        plane.routes,
        plane.warmup,
        plane.meter,
        plane.deployments,
        own.ray_unused_s,
        host.clock,
    )
    host.background("replicas on Ray Serve", keeper.run)
    # A model that is being made ready is not waited for.
    host.on_stop(runtimes.cluster.end)
    host.on_close(runtimes.cluster.close)
