"""A model whose answers are computed by replicas on Ray Serve, and the runtime that makes such models."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

import structlog
from modelog_common.domain.errors import Invalid, Unavailable

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.failed import DIED, HUNG, ModelDied, ModelFailed
from modelog_serving.engine.runtime import Away, Matrix
from modelog_serving.rayserve import replica
from modelog_serving.rayserve.cluster import Cluster
from modelog_serving.rayserve.spec import Spec
from modelog_serving.worker import wire
from modelog_serving.worker.limits import Limits

# So many batches of a model may be on their way at most, whatever the number of replicas.
MOST_AT_ONCE = 32
# After a replica's own limit, so that it can tell what happened.
GRACE_S = 5.0
PACKAGES = ("ray", "fastapi", "starlette", "uvicorn")
Told = Callable[[str, str], None]
log = structlog.get_logger()


class OnRay(Away):
    """`batcher` is its own: as many batches are on their way as there are replicas."""

    def __init__(self, name: str, digest: str, handle: Any, limit_s: float) -> None:
        self.name, self.digest = name, digest
        self.batcher = Batcher(MOST_AT_ONCE, far=True)
        self.used_s = time.monotonic()
        self.ready = 1
        self._handle, self._limit_s = handle, limit_s
        self._told: Told = _logged

    def tell(self, told: Told) -> None:
        self._told = told

    def have(self, ready: int) -> None:
        """So many replicas answer now."""
        self.ready = ready
        self.batcher.at_once = min(max(ready, 1), MOST_AT_ONCE)

    def predict(self, rows: Matrix) -> Matrix:
        """As every model does; raises ModelDied when the replica that was asked is gone, Unavailable without any."""
        self.used_s = time.monotonic()
        kind, text, cause, outputs = self._asked(rows)
        if kind == wire.ANSWER and outputs is not None:
            return outputs
        if kind == wire.INVALID:
            field, _, description = text.partition(": ")
            raise Invalid.field(field, description)
        if kind == replica.UNAVAILABLE:
            raise Unavailable(text)
        if kind == replica.DIED:
            self._told(cause, text)
            raise ModelDied(cause, text)
        if kind == wire.NO_MEMORY:
            raise ModelFailed("the model needs more memory than its replica on Ray Serve has")
        raise ModelFailed(text if text.startswith("the model") else f"the model failed: {text}")

    def _asked(self, rows: Matrix) -> replica.Told:
        from ray.exceptions import RayActorError, RayError, RayTaskError
        from ray.serve.exceptions import RayServeException

        asked = f"when it was asked for {len(rows)} rows"
        waiting = None
        try:
            waiting = self._handle.answer.remote(rows)
            told: replica.Told = waiting.result(timeout_s=self._limit_s)
            return told
        except RayActorError as error:
            text = f"a replica of the model on Ray Serve died {asked}"
            self._told(DIED, text)
            raise ModelDied(DIED, text) from error
        except TimeoutError as error:
            if waiting is not None:
                waiting.cancel()
            if not self.ready:
                raise Unavailable(
                    f"none of the model's replicas on Ray Serve is ready, after {self._limit_s:g} s"
                ) from error
            text = f"a replica of the model on Ray Serve took more than {self._limit_s:g} s {asked}"
            self._told(HUNG, text)
            raise ModelDied(HUNG, text) from error
        except RayTaskError as error:
            raise ModelFailed(f"the model's replica on Ray Serve failed: {_last(str(error.cause))}") from error
        except (RayError, RayServeException, RuntimeError, ConnectionError) as error:
            raise Unavailable(f"Ray Serve does not answer for the model: {_last(str(error))}") from error


class RayRuntimes:
    """All flavors, on Ray Serve: what of them its nodes can run, they say themselves.

    `folder` is where the files of models are kept, for the nodes to read.
    """

    def __init__(self, cluster: Cluster, folder: Path, threads: int, limits: Limits) -> None:
        self.cluster, self._folder, self._threads, self._limits = cluster, folder, threads, limits
        self._turn = Lock()
        self._alive: WeakSet[OnRay] = WeakSet()
        self._coming: list[str] = []

    def of(self, flavor: str) -> RayRuntime:
        return RayRuntime(self, flavor, original=False)

    def original_of(self, flavor: str) -> RayRuntime:
        return RayRuntime(self, flavor, original=True)

    def alive(self) -> list[OnRay]:
        """The models that somebody has."""
        with self._turn:
            return list(self._alive)

    def keeps(self, name: str) -> bool:
        """Whether an application is that of a model that somebody has, or is being made."""
        with self._turn:
            return name in self._coming or any(model.name == name for model in self._alive)

    def load(self, digest: str, flavor: str, signature: Signature, *, approved: bool, original: bool) -> OnRay:
        """Have replicas answer for a file of the folder; raises what `Cluster.deploy` does."""
        limits = self._limits
        spec = Spec(
            digest,
            flavor,
            signature,
            str(self._folder.absolute()),
            self._threads,
            limits.predict_s,
            limits.load_s,
            limits.memory_bytes,
            version("modelog-serving"),
            original,
        )
        name = self.cluster.name_of(spec)
        with self._turn:
            self._coming.append(name)
        try:
            handle = self.cluster.deploy(spec, approved=approved)
            model = OnRay(name, digest, handle, limits.predict_s + replica.GRACE_S + GRACE_S)
            with self._turn:
                self._alive.add(model)
        finally:
            with self._turn:
                self._coming.remove(name)
        return model


class RayRuntime:
    """The port Runtime of one flavor; where it is `original`, with no engine but the library's own."""

    def __init__(self, runtimes: RayRuntimes, flavor: str, *, original: bool) -> None:
        self._runtimes, self._flavor, self._original = runtimes, flavor, original

    def load(self, content: bytes, signature: Signature, approved: bool) -> OnRay:
        digest = sha256(content).hexdigest()
        return self._runtimes.load(digest, self._flavor, signature, approved=approved, original=self._original)


def missing() -> str:
    """What has to be installed; "" when nothing has."""
    lacks = [name for name in PACKAGES if find_spec(name) is None]
    if not lacks:
        return ""
    return (
        f"needs Ray Serve ({', '.join(lacks)}), which this server does not have: pip install 'modelog-serving[ray]' "
        "and start it again"
    )


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:400] if lines else "it says no more"


def _logged(cause: str, text: str) -> None:
    log.error("a model failed", cause=cause, why=text)
