"""How many workers deployments want, from what is under way and how long answers take. Pure.

The rules are those of Kubernetes' autoscaler, so that a deployment scales alike in both places: a proportion that is
off by less than a tenth changes nothing, and after a change of mind the calmest of the last `cooldown` counts.
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from modelog_serving.deployment.scaling import Scaling

NEAR = 0.1


@dataclass(frozen=True)
class Seen:
    """Of a deployment since the last look: requests under way in the mean, and the 95th percentile of latency, None
    without an answer."""

    concurrency: float = 0.0
    latency_ms: float | None = None


def wanted(scaling: Scaling, seen: Seen, workers: int) -> int:
    """How many of what is seen with so many workers; of two targets the larger counts."""
    found = [scaling.min_replicas]
    if scaling.target_concurrency:
        found.append(_proportional(seen.concurrency / (workers * scaling.target_concurrency), workers))
    if scaling.target_latency_ms:
        found.append(_proportional((seen.latency_ms or 0.0) / scaling.target_latency_ms, workers))
    return min(max(found), scaling.max_replicas)


def _proportional(of_target: float, workers: int) -> int:
    return workers if abs(of_target - 1) <= NEAR else math.ceil(of_target * workers)


@dataclass
class Steering:
    """One deployment's number of workers, as it is looked at again and again; times are seconds of any clock."""

    workers: int
    since_s: float
    _wanted: deque[tuple[float, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._wanted.append((self.since_s, self.workers))

    def look(self, scaling: Scaling, seen: Seen, running: int, now_s: float) -> int:
        """How many there should be now, of what is seen with `running` ones: more when more were wanted for all of
        `up_cooldown_s`, fewer likewise.
        """
        self._wanted.append((now_s, wanted(scaling, seen, running)))
        longest_s = max(scaling.up_cooldown_s, scaling.down_cooldown_s)
        # One that is older than the cool-downs stays: it was wanted until the next one.
        while len(self._wanted) > 1 and self._wanted[1][0] <= now_s - longest_s:
            self._wanted.popleft()
        least = min(self._lately(now_s - scaling.up_cooldown_s))
        most = max(self._lately(now_s - scaling.down_cooldown_s))
        self.workers = max(scaling.min_replicas, min(scaling.max_replicas, max(least, min(most, self.workers))))
        return self.workers

    def _lately(self, from_s: float) -> list[int]:
        """What was wanted at that time and since."""
        found = [number for at_s, number in self._wanted if at_s > from_s]
        before = [number for at_s, number in self._wanted if at_s <= from_s]
        return [*before[-1:], *found] if from_s < self._wanted[-1][0] else [self._wanted[-1][1]]
