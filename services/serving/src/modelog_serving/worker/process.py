"""Starts the process of a model, asks it, and ends it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO

import msgspec
from modelog_common.domain.errors import Invalid, NotAllowed

from modelog_serving.engine.failed import DIED, HUNG, OUTGREW, ModelDied, ModelFailed
from modelog_serving.engine.runtime import Matrix
from modelog_serving.learning.terms import Seen
from modelog_serving.worker import ended, wire
from modelog_serving.worker.limits import Limits

# A model has no business with what lets one into other services; this is no protection from one that looks for it.
_SECRETS = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "KEY")
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TOKENIZERS_PARALLELISM": "false",
    # Nothing is fetched that the artifact does not hold.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}
# Frameworks that see a GPU take it, and TensorFlow all of its memory.
_NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
# So that matrices are multiplied in the same way each time: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
_ON_GPU = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# Of what a process may hold beyond what it held when it was loaded.
MOST_GROWTH = 0.75


class Worker:
    """One process. It ends when this is let go of, and by itself when serving is gone."""

    def __init__(
        self, file: IO[bytes], load: wire.Load, limits: Limits, added: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Raises NotAllowed when the model cannot be loaded, ModelDied or ModelFailed when its process did not get
        that far."""
        self._limits = limits
        self.states: set[int] = set()
        self._link, theirs = socket.socketpair()
        # What it unpacks there goes with it.
        folder = tempfile.TemporaryDirectory(prefix="modelog-model-")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelog_serving.worker", str(theirs.fileno()), str(file.fileno())],
                pass_fds=(theirs.fileno(), file.fileno()),
                env=environment(load.threads, gpus=load.device.name != "cpu") | {"TMPDIR": folder.name} | dict(added),
                stdin=subprocess.DEVNULL,
                stdout=2,
            )
        self._end = weakref.finalize(self, _end, self._process, self._link, folder)
        said, _ = self._said(load, None, limits.load_s, "to be loaded")
        if said.kind == wire.REFUSED:
            self._end()
            raise NotAllowed(said.text)
        self._base = self.memory_bytes = said.memory_bytes

    def load_state(self, number: int, content: bytes) -> None:
        """Have one more state of the model in memory; raises NotAllowed when it cannot be, ModelDied as `predict`."""
        said, _ = self._said(wire.State(number), content, self._limits.load_s, "to be loaded")
        _check(said)
        self.states.add(number)

    def forget(self, number: int) -> None:
        """Let go of a state."""
        self._said(wire.Forget(number), None, self._limits.predict_s, "to forget a state")
        self.states.discard(number)

    def predict(self, rows: Matrix, state: int = 0) -> Matrix:
        """Raises Invalid and ModelFailed as the model does, ModelDied when this process is of no use any more."""
        head = wire.rows_of(rows, state)
        said, body = self._said(head, rows, self._limits.predict_s, f"for {len(rows)} rows")
        _check(said)
        if said.matrix is None:
            raise ModelFailed(f"the model failed: {said.text}")
        self.memory_bytes = said.memory_bytes
        return wire.matrix_of(said.matrix, body)

    def learn(self, state: bytes, rows: Matrix) -> tuple[bytes, Seen]:
        """As `engine.runtime.Learner` says it; raises ModelFailed and ModelDied as `predict` does."""
        head, asked = wire.learn_of(state, rows)
        said, body = self._said(head, asked, self._limits.predict_s, f"to learn {len(rows)} labels")
        _check(said)
        if said.seen is None:
            raise ModelFailed(f"the model failed: {said.text}")
        self.memory_bytes = said.memory_bytes
        return bytes(body), said.seen

    @property
    def outgrown(self) -> bool:
        """Whether it holds so much more than at first that it will soon be refused memory."""
        room = self._limits.memory_bytes - self._base
        return self._limits.memory_bytes > 0 and self.memory_bytes - self._base > room * MOST_GROWTH

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def end(self) -> None:
        """Kill it."""
        self._end()

    def _said(
        self, head: msgspec.Struct, asked: Matrix | bytes | None, limit_s: float, what: str
    ) -> tuple[wire.Said, bytearray]:
        until = time.monotonic() + limit_s
        try:
            self._link.settimeout(limit_s)
            wire.send(self._link, head, asked)
            told, body = wire.receive(self._link, until)
        except TimeoutError:
            self._end()
            raise ModelDied(HUNG, f"the model took more than {limit_s:g} s {what}, and its process was ended") from None
        except (EOFError, OSError):
            how = how_ended(self._process)
            self._end()
            raise ModelDied(DIED, f"the model's process {how} when it was asked {what}") from None
        said = msgspec.msgpack.decode(told, type=wire.Said)
        if said.kind == wire.NO_MEMORY:
            self._end()
            most = self._limits.memory_bytes >> 20
            raise ModelDied(OUTGREW, f"the model needs more than the {most} MiB that it may use, when asked {what}")
        if said.kind == wire.DIED:
            self._end()
            raise ModelDied(DIED, said.text)
        return said, body


def _check(said: wire.Said) -> None:
    """Raise what the model raised."""
    if said.kind == wire.INVALID:
        field, _, description = said.text.partition(": ")
        raise Invalid.field(field, description)
    if said.kind == wire.REFUSED:
        raise NotAllowed(said.text)
    if said.kind == wire.FAILED:
        raise ModelFailed(f"the model failed: {said.text}")


def _end(process: subprocess.Popen[bytes], link: socket.socket, folder: tempfile.TemporaryDirectory[str]) -> None:
    link.close()
    process.kill()
    process.wait()
    folder.cleanup()


def how_ended(process: subprocess.Popen[bytes]) -> str:
    """How it ended; it closed its end of the link, so that it will soon have."""
    try:
        return ended.how(process.wait(1))
    except subprocess.TimeoutExpired:
        return "said no more"


def environment(threads: int, *, gpus: bool = False) -> dict[str, str]:
    """What a model's process is told of this one's; without `gpus` it sees none, whatever the framework would take."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MODELOG_") and not any(word in name.upper() for word in _SECRETS)
    }
    quiet = _QUIET | (_ON_GPU if gpus else _NO_GPU)
    return kept | quiet | {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
