"""What runs on Ray Serve: one model, loaded as serving itself loads it, that answers rows with outputs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
import numpy as np
from modelog_common.domain.errors import ModelogError, NotFound, Unavailable
from modelog_common.stores.blobs.folder import FolderBlobStore

from modelog_serving.engine.failed import ModelDied, ModelFailed
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.oip.tensors import dtype_of_rows
from modelog_serving.rayserve.spec import Spec
from modelog_serving.runtimes.beside import Beside
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker import wire
from modelog_serving.worker.answering import answered

# Beside those of `worker.wire`.
DIED, UNAVAILABLE = "died", "unavailable"
# What a replica that cannot begin has to say stands between these, somewhere in Ray's own words.
BEGIN, END = "<<modelog: ", " :modelog>>"
GRACE_S = 10.0
T = TypeVar("T")
# Kind, text, cause, outputs: what `rayserve.remote` makes answers and errors of.
Told = tuple[str, str, str, Matrix | None]


class Replica:
    """Loads the model, and asks it once, before Ray Serve sends anything here."""

    def __init__(self, told: bytes, approved: bool) -> None:
        spec = msgspec.msgpack.decode(told, type=Spec)
        self._signature, self._limit_s = spec.signature, spec.predict_s + GRACE_S
        self._under_way: dict[object, float] = {}
        try:
            self._model = _apart(lambda: loaded(spec, approved))
            _apart(self._try)
        except ModelogError as error:
            raise RuntimeError(f"{BEGIN}{error}{END}") from None

    def _try(self) -> None:
        """What takes longer the first time is done then; what the model says to a row of zeros is its own affair."""
        if not self._signature.texts:
            row = np.zeros((1, len(self._signature.features)), dtype_of_rows(self._signature))
            answered(self._model, row, self._signature, passing=ModelDied)

    async def answer(self, rows: Matrix) -> Told:
        """Answer (rows, features) with (rows, outputs), or say why not."""
        return await asyncio.to_thread(self._answer, rows)

    def _answer(self, rows: Matrix) -> Told:
        mark = object()
        self._under_way[mark] = time.monotonic()
        try:
            said, answers = answered(self._model, rows, self._signature, passing=(ModelFailed, Unavailable))
        except ModelFailed as error:
            return (DIED if isinstance(error, ModelDied) else wire.FAILED), str(error), error.cause, None
        except Unavailable as error:
            return UNAVAILABLE, str(error), "", None
        finally:
            del self._under_way[mark]
        return said.kind, said.text, "", answers

    def check_health(self) -> None:
        """Ray Serve asks now and then, and replaces a replica that raises here."""
        now_s = time.monotonic()
        if any(now_s - began_s > self._limit_s for began_s in list(self._under_way.values())):
            raise RuntimeError(f"an answer takes more than {self._limit_s:g} s")


def loaded(spec: Spec, approved: bool) -> Model:
    """The model of a file in the folder; raises what `Models.get` does."""
    runtimes = LazyRuntimes(spec.threads, spec.limits, Beside(spec.path))
    models = Models(_Files(spec), runtimes, 1, _Found(spec))
    return asyncio.run(models.get(ModelRef(spec.digest, spec.flavor, spec.signature, approved)))


class _Files:
    """The port ModelFiles over the folder that serving keeps its files in."""

    def __init__(self, spec: Spec) -> None:
        self._folder = FolderBlobStore(spec.path)

    async def fetch(self, digest: str) -> bytes:
        try:
            return b"".join([chunk async for chunk in self._folder.open(digest)])
        except NotFound as error:
            raise NotFound(
                f"there is no file {digest} in {self._folder.folder} on this node of Ray; all nodes must see the "
                "folder in which serving keeps its models"
            ) from error


class _Found:
    """The port Verdicts: what serving knew when it asked for the replica."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    async def original(self, ref: ModelRef) -> bool:
        return self._spec.original


def _apart(do: Callable[[], T]) -> T:
    """In a thread that has no event loop, as Ray's has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(do).result()
