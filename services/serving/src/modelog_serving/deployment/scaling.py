"""How many replicas a deployment may have, what they are measured by, and their GPUs. Pure."""

from __future__ import annotations

import msgspec
from modelog_common.domain.errors import Invalid

MOST_REPLICAS = 1000
MOST_GPUS = 16
# Kubernetes keeps a stabilisation window to an hour.
LONGEST_COOLDOWN_S = 3600


class Scaling(msgspec.Struct, frozen=True):
    """From `min_replicas` to `max_replicas`, so that each has `target_concurrency` requests under way, or answers
    within `target_latency_ms`; a target of 0 is none.

    A replica is added when more were wanted for `up_cooldown_s`, and taken away when fewer were for `down_cooldown_s`.
    With `scale_to_zero` none is left after `idle_s` without a request. Each has `gpus` GPUs for itself, in Kubernetes.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    target_concurrency: float = 0.0
    target_latency_ms: float = 0.0
    up_cooldown_s: int = 0
    down_cooldown_s: int = 300
    scale_to_zero: bool = False
    idle_s: int = 300
    gpus: int = 0


def check_scaling(scaling: Scaling) -> None:
    """Raise Invalid, naming the field, for what cannot be."""
    _within("min_replicas", scaling.min_replicas, 1, MOST_REPLICAS, "; with scale_to_zero none is left of the last one")
    _within("max_replicas", scaling.max_replicas, scaling.min_replicas, MOST_REPLICAS, ": no less than min_replicas")
    for name in ("target_concurrency", "target_latency_ms"):
        if getattr(scaling, name) < 0:
            raise Invalid.field(f"scaling.{name}", f"is {getattr(scaling, name):g}; it must be 0, for none, or more")
    for name in ("up_cooldown_s", "down_cooldown_s", "idle_s"):
        _within(name, getattr(scaling, name), 0, LONGEST_COOLDOWN_S, "")
    _within("gpus", scaling.gpus, 0, MOST_GPUS, ", for each replica")
    if scaling.max_replicas > scaling.min_replicas and not (scaling.target_concurrency or scaling.target_latency_ms):
        raise Invalid.field(
            "scaling.target_concurrency",
            "is not given, nor is target_latency_ms; one of them must be where there may be more than min_replicas",
        )


def _within(name: str, value: int, least: int, most: int, why: str) -> None:
    if not least <= value <= most:
        raise Invalid.field(f"scaling.{name}", f"is {value}; it must be from {least} to {most}{why}")
