"""Every decider and every event type that the services declare, found by looking into all of their modules."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

from modelog_common.domain.decider import Decider
from modelog_common.events.types import EventSpec, EventTypes, spec_of

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
GOLDEN = sorted(Path(__file__).parents[1].glob("*/golden/*.json"))


def _heavy(name: str) -> bool:
    """Adapters of frameworks that need not be installed; no event is declared in them."""
    return name.startswith("modelog_serving.runtimes.")


def modules(service: str) -> list[ModuleType]:
    package = importlib.import_module(f"modelog_{service}")
    names = [found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [
        importlib.import_module(name) for name in sorted(names) if not name.endswith("__main__") and not _heavy(name)
    ]


def _find() -> tuple[dict[str, tuple[Decider[Any, Any, Any], EventTypes]], dict[str, EventTypes], dict[str, EventSpec]]:
    deciders, registries, specs = {}, {}, {}
    for service in SERVICES:
        values = [value for module in modules(service) for value in vars(module).values()]
        types = next((value for value in values if isinstance(value, EventTypes)), None)
        specs |= {spec_of(v).name: spec_of(v) for v in values if isinstance(v, type) and _is_event(v)}
        if types is not None:
            registries[service] = types
            deciders |= {v.category: (v, types) for v in values if isinstance(v, Decider)}
    return deciders, registries, specs


def _is_event(value: type[Any]) -> bool:
    try:
        spec_of(value)
    except TypeError:
        return False
    return True


def types_of(decider: Decider[Any, Any, Any], types: EventTypes) -> set[str]:
    """The stored names of the events that a decider folds."""
    event = get_type_hints(decider.evolve)["event"]
    return {spec_of(one).name for one in get_args(event) or (event,)}


DECIDERS, REGISTRIES, SPECS = _find()
