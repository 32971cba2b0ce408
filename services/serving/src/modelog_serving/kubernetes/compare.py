"""Whether an object is as it is wanted, whose it is, and which of its fields are left to others. Pure."""

from __future__ import annotations

from typing import Any

from modelog_serving.deployment.scaling import Scaling
from modelog_serving.kubernetes.kinds import Object
from modelog_serving.kubernetes.names import INSTALLATION, MANAGED_BY, MANAGER


def holds(live: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there as wanted; what others added does not count."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(key in live and holds(live[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) < len(wanted):
            return False
        merged = all(isinstance(entry, dict) and "name" in entry for entry in wanted)
        if merged:
            named = {entry.get("name"): entry for entry in live if isinstance(entry, dict)}
            return all(holds(named.get(entry["name"]), entry) for entry in wanted)
        return len(live) == len(wanted) and all(holds(a, b) for a, b in zip(live, wanted, strict=True))
    return bool(live == wanted)


def ours(live: Object, installation: str) -> bool:
    """Whether this installation made an object: it has our labels, or somebody took those from what we had applied."""
    labels = live["metadata"].get("labels") or {}
    if labels.get(MANAGED_BY) == MANAGER and labels.get(INSTALLATION) == installation:
        return True
    return INSTALLATION not in labels and MANAGER in _appliers(live)


def replicas_to_keep(live: Object | None, scaling: Scaling, least: int) -> int | None:
    """The number that must be applied once more when scaling was only now set: None when another sets it, or none did.

    A field that its only owner no longer applies goes back to its default, one replica, until the autoscaler looks.
    """
    if live is None:
        return None
    owners = [
        entry.get("manager")
        for entry in live["metadata"].get("managedFields", ())
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    ]
    if owners != [MANAGER]:
        return None
    return min(max(int(live["spec"].get("replicas", 1)), least), scaling.max_replicas)


def _appliers(live: Object) -> set[str]:
    fields = live["metadata"].get("managedFields", ())
    return {str(entry.get("manager")) for entry in fields if entry.get("operation") == "Apply"}
