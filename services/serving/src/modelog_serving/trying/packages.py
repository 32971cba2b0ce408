"""Which versions of what runs a flavor are there: a file is tried again when they change."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version

from modelog_serving.engine.composite import CHAIN, ENSEMBLE
from modelog_serving.runtimes.find import KINDS

# Where a package is called otherwise than what brings it.
_BRINGS = {"xgboost": ("xgboost-cpu", "xgboost"), "sklearn": ("scikit-learn",)}
_ALWAYS = ("modelog-serving", "numpy")
_TREES = ("numba",)


@cache
def packages_of(flavor: str) -> Mapping[str, str]:
    """Versions by package; those that are missing are left out.

    Code in a file may need anything: where a flavor's may have some, a digest of all that is installed stands beside.
    """
    kinds = KINDS if flavor in (ENSEMBLE, CHAIN) else {flavor: KINDS[flavor]} if flavor in KINDS else {}
    found = {"python": platform.python_version()}
    for name in _ALWAYS:
        found |= _version(name)
    for kind in kinds.values():
        for package in (*kind.packages, *(_TREES if kind.engines else ())):
            for name in _BRINGS.get(package, (package,)):
                found |= _version(name)
    if any(kind.own_process != "none" for kind in kinds.values()):
        found["all that is installed"] = _installed()
    return found


def _version(name: str) -> dict[str, str]:
    try:
        return {name: version(name)}
    except PackageNotFoundError:
        return {}


@cache
def _installed() -> str:
    names = sorted(f"{each.name}=={each.version}" for each in distributions())
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
