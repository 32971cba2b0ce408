"""What is seen of a deployment's pods: how many are wanted and ready, and why others are not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from modelog_serving.deployment.state import Replicas
from modelog_serving.kubernetes.kinds import Object

BACKEND = "kubernetes"
MOST_PROBLEMS, LONGEST = 5, 400
# What every pod goes through.
USUAL = ("ContainerCreating", "PodInitializing")
# The same trouble, told by turns.
SAME = {"ErrImagePull": "ImagePullBackOff"}


def seen(deployments: Sequence[Object], pods: Iterable[Object], notes: Sequence[str]) -> Replicas:
    """From Deployments and their pods, with what else must be said."""
    wanted = sum(int(d["spec"].get("replicas", 1)) for d in deployments)
    ready = sum(int(d.get("status", {}).get("readyReplicas", 0)) for d in deployments)
    waiting = Counter(why for pod in pods if (why := trouble(pod)))
    troubles = [f"{count} {'pod' if count == 1 else 'pods'}: {why}" for why, count in sorted(waiting.items())]
    refused = [text for d in deployments for text in _refused(d)]
    problems = [text[:LONGEST] for text in dict.fromkeys([*notes, *refused, *troubles])]
    return Replicas(BACKEND, wanted, ready, tuple(problems[:MOST_PROBLEMS]))


def trouble(pod: Object) -> str:
    """Why a pod does not become ready; "" when nothing is known that keeps it."""
    status = pod.get("status", {})
    for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason", "") not in USUAL:
            return _waits(waiting, container)
    if status.get("phase") == "Failed":
        return _joined(status.get("reason", "Failed"), status.get("message", ""))
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _joined(condition.get("reason", "Unschedulable"), condition.get("message", ""))
    return ""


def _waits(waiting: Object, container: Object) -> str:
    reason = str(waiting.get("reason", "waiting"))
    ended = container.get("lastState", {}).get("terminated")
    if ended:  # the message of waiting counts seconds, and would never stay the same
        how = f"{ended.get('reason', 'it ended')}, exit status {ended.get('exitCode')}"
        return _joined(f"{reason} ({how})", str(ended.get("message", "")))
    return _joined(SAME.get(reason, reason), "" if reason in SAME else str(waiting.get("message", "")))


def _refused(deployment: Object) -> list[str]:
    """Pods that could not even be made, such as for a quota."""
    conditions = deployment.get("status", {}).get("conditions", ())
    failed = [c for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"]
    late = [c for c in conditions if c["type"] == "Progressing" and c["status"] == "False"]
    return [_joined(c.get("reason", c["type"]), c.get("message", "")) for c in [*failed, *late]]


def _joined(reason: str, message: str) -> str:
    return f"{reason}: {' '.join(message.split())}" if message else reason
