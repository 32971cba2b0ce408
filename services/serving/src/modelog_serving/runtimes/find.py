"""Finds the runtime of a flavor, and loads its library when the first model needs it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from threading import Lock

from modelog_common.domain.errors import NotAllowed

from modelog_serving.engine.runtime import Runtime


@dataclass(frozen=True)
class Kind:
    """The module that runs a flavor, the packages that it imports, and the extra that brings them."""

    module: str
    packages: tuple[str, ...]
    extra: str = ""


KINDS = {
    "xgboost": Kind("xgboost_runtime", ("xgboost",)),
    "lightgbm": Kind("lightgbm_runtime", ("lightgbm",), "lightgbm"),
    "onnx": Kind("onnx_runtime", ("onnxruntime",), "onnx"),
    "sklearn": Kind("sklearn_runtime", ("sklearn", "skops", "cloudpickle", "pandas"), "sklearn"),
}


class LazyRuntimes:
    """`threads` is how many threads one prediction uses."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._found: dict[str, Runtime] = {}
        self._turn = Lock()

    def of(self, flavor: str) -> Runtime:
        """The runtime of a flavor; raises NotAllowed for one that is not served, or whose packages are missing."""
        with self._turn:
            if flavor not in self._found:
                self._found[flavor] = self._made(flavor)
            return self._found[flavor]

    def _made(self, flavor: str) -> Runtime:
        kind = KINDS.get(flavor)
        if kind is None:
            raise NotAllowed(f"models of flavor {flavor!r} cannot be served; this server runs {', '.join(KINDS)}")
        missing = [package for package in kind.packages if find_spec(package) is None]
        if missing:
            wanted = f"modelog-serving[{kind.extra}]" if kind.extra else "modelog-serving"
            raise NotAllowed(
                f"models of flavor {flavor!r} need {', '.join(missing)}, which this server does not have: "
                f"pip install '{wanted}' and start it again"
            )
        made: Runtime = import_module(f"modelog_serving.runtimes.{kind.module}").runtime(self._threads)
        return made
