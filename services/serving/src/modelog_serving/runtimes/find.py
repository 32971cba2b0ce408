"""Finds the runtime of a flavor, and loads its library when the first model needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.composite import CHAIN, ENSEMBLE
from modelog_serving.engine.failed import NeedsApproval, NoRuntime
from modelog_serving.engine.runtime import Model, Runtime
from modelog_serving.worker.limits import CPU, Device, Limits

if TYPE_CHECKING:
    # A model's own process has no folder, and does without what this imports.
    from modelog_serving.runtimes.beside import Beside


@dataclass(frozen=True)
class Kind:
    """The module that runs a flavor, the packages that it imports, and the extra that brings them.

    `own_process` says which files run in a process of their own: all, none, or those that the module calls risky.
    `texts` says that it takes and gives them; the others are of numbers. `engines` says that something else than the
    library may answer, `maps` that what is made of a file may lie beside it, for all processes;
    `gpus` that it may compute on a GPU.
    """

    module: str
    packages: tuple[str, ...]
    extra: str = ""
    own_process: str = "none"
    texts: bool = False
    engines: bool = False
    maps: bool = False
    gpus: bool = False


KINDS = {
    "xgboost": Kind("xgboost_runtime", ("xgboost",), engines=True, maps=True),
    "lightgbm": Kind("lightgbm_runtime", ("lightgbm",), "lightgbm", "risky"),
    "onnx": Kind("onnx_runtime", ("onnxruntime",), "onnx", maps=True),
    "sklearn": Kind("sklearn_runtime", ("sklearn", "skops", "cloudpickle", "pandas"), "sklearn", "risky"),
    "python_function": Kind("python_runtime", ("cloudpickle", "pandas"), "python", "all", texts=True),
    "river": Kind("river_runtime", ("river", "cloudpickle"), "river", "all"),
    "pytorch": Kind("torch_runtime", ("torch",), "torch", "all", gpus=True),
    "tensorflow": Kind("tensorflow_runtime", ("tensorflow",), "tensorflow", "all"),
    "transformers": Kind(
        "transformers_runtime", ("transformers", "torch", "safetensors"), "transformers", "all", texts=True, gpus=True
    ),
}


def why_not_run(flavor: str) -> str:
    """Why no model of a flavor is run here, such as a missing package; "" where one is, or is made of others."""
    if flavor in (ENSEMBLE, CHAIN):
        return ""
    kind = KINDS.get(flavor)
    if kind is None:
        return f"models of flavor {flavor!r} cannot be served; this server runs {', '.join(KINDS)}"
    missing = [package for package in kind.packages if find_spec(package) is None]
    if not missing:
        return ""
    wanted = f"modelog-serving[{kind.extra}]" if kind.extra else "modelog-serving"
    return (
        f"models of flavor {flavor!r} need {', '.join(missing)}, which this server does not have: "
        f"pip install '{wanted}' and start it again"
    )


class LazyRuntimes:
    """`threads` is how many threads one prediction uses.

    `limits` are those of models in processes of their own; without any, all run in this process, which is that of one.
    `beside` is where large arrays are kept for all processes that load the same files; without it each has its own.
    `device` is where models in this process compute that may use a GPU; for those in their own the limits say it.
    """

    def __init__(
        self, threads: int = 1, limits: Limits | None = None, beside: Beside | None = None, device: Device = CPU
    ) -> None:
        self._threads, self._limits, self._beside, self._device = threads, limits, beside, device
        self._found: dict[tuple[str, bool], Runtime] = {}
        self._turn = Lock()

    def of(self, flavor: str) -> Runtime:
        """The runtime of a flavor; raises NoRuntime for one that is not served, or whose packages are missing."""
        return self._of(flavor, original=False)

    def original_of(self, flavor: str) -> Runtime:
        """The same, with no engine but the library's own."""
        return self._of(flavor, original=True)

    def _of(self, flavor: str, *, original: bool) -> Runtime:
        with self._turn:
            if (flavor, original) not in self._found:
                made = self._made(flavor, original)
                self._found[flavor, original] = made if KINDS[flavor].texts else OfNumbers(flavor, made)
            return self._found[flavor, original]

    def _made(self, flavor: str, original: bool) -> Runtime:
        why_not = why_not_run(flavor)
        if why_not:
            raise NoRuntime(why_not)
        kind = KINDS[flavor]
        if kind.engines and original:
            only: Runtime = _module(kind).runtime(self._threads, original=True)
            return only
        if self._limits is None or kind.own_process == "none":
            return self._here(kind)
        from modelog_serving.worker.isolated import IsolatingRuntime

        limits = self._limits if kind.gpus else replace(self._limits, device=CPU)
        isolating = IsolatingRuntime(flavor, self._threads, limits)
        if kind.own_process == "all":
            return isolating
        return ByFile(self._here(kind), isolating, _module(kind).risky)

    def _here(self, kind: Kind) -> Runtime:
        own: dict[str, Any] = {"beside": self._beside} if kind.maps else {}
        if kind.gpus:
            own["device"] = self._device
        made: Runtime = _module(kind).runtime(self._threads, **own)
        return made


@dataclass(frozen=True)
class OfNumbers:
    """Refuses signatures with texts, whatever the file."""

    flavor: str
    runtime: Runtime

    def load(self, content: bytes, signature: Signature, approved: bool) -> Model:
        if signature.texts:
            able = ", ".join(flavor for flavor, kind in KINDS.items() if kind.texts)
            raise NotAllowed(
                f"its signature has the texts {signature.texts!r}; models of flavor {self.flavor!r} are served with "
                f"numbers, with texts those of {able}"
            )
        return self.runtime.load(content, signature, approved)


@dataclass(frozen=True)
class ByFile:
    """Runs in processes of their own what may do harm, and the rest here."""

    here: Runtime
    isolating: Runtime
    risky: Callable[[bytes], bool]

    def load(self, content: bytes, signature: Signature, approved: bool) -> Model:
        if not self.risky(content):
            return self.here.load(content, signature, approved)
        if not approved:
            # It is refused before anything of it is read, so it takes no process to say why.
            self.here.load(content, signature, approved)
            raise NeedsApproval("the model file may do harm, and nobody approved its version")
        return self.isolating.load(content, signature, approved)


def _module(kind: Kind) -> Any:
    return import_module(f"modelog_serving.runtimes.{kind.module}")
