"""Starts the process of a model, asks it, and ends it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from typing import IO

import msgspec
from modelog_common.domain.errors import Invalid, NotAllowed

from modelog_serving.engine.failed import DIED, HUNG, OUTGREW, ModelDied, ModelFailed
from modelog_serving.engine.runtime import Matrix
from modelog_serving.worker import ended, wire
from modelog_serving.worker.limits import Limits

# A model has no business with what lets one into other services; this is no protection from one that looks for it.
_SECRETS = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "KEY")
_QUIET = {
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TOKENIZERS_PARALLELISM": "false",
    # Nothing is fetched that the artifact does not hold.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}
# Of what a process may hold beyond what it held when it was loaded.
MOST_GROWTH = 0.75


class Worker:
    """One process. It ends when this is let go of, and by itself when serving is gone."""

    def __init__(self, file: IO[bytes], load: wire.Load, limits: Limits) -> None:
        """Raises NotAllowed when the model cannot be loaded, ModelDied or ModelFailed when its process did not get
        that far."""
        self._limits = limits
        self._link, theirs = socket.socketpair()
        # What it unpacks there goes with it.
        folder = tempfile.TemporaryDirectory(prefix="modelog-model-")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelog_serving.worker", str(theirs.fileno()), str(file.fileno())],
                pass_fds=(theirs.fileno(), file.fileno()),
                env=_environment(load.threads) | {"TMPDIR": folder.name},
                stdin=subprocess.DEVNULL,
                stdout=2,
            )
        self._end = weakref.finalize(self, _end, self._process, self._link, folder)
        said, _ = self._said(load, None, limits.load_s, "to be loaded")
        if said.kind == wire.REFUSED:
            self._end()
            raise NotAllowed(said.text)
        self._base = self.memory_bytes = said.memory_bytes

    def predict(self, rows: Matrix) -> Matrix:
        """Raises Invalid and ModelFailed as the model does, ModelDied when this process is of no use any more."""
        said, body = self._said(wire.rows_of(rows), rows, self._limits.predict_s, f"for {len(rows)} rows")
        if said.kind == wire.INVALID:
            field, _, description = said.text.partition(": ")
            raise Invalid.field(field, description)
        if said.kind == wire.FAILED or said.matrix is None:
            raise ModelFailed(f"the model failed: {said.text}")
        self.memory_bytes = said.memory_bytes
        return wire.matrix_of(said.matrix, body)

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
        self, head: msgspec.Struct, rows: Matrix | None, limit_s: float, what: str
    ) -> tuple[wire.Said, bytearray]:
        until = time.monotonic() + limit_s
        try:
            self._link.settimeout(limit_s)
            wire.send(self._link, head, rows)
            told, body = wire.receive(self._link, until)
        except TimeoutError:
            self._end()
            raise ModelDied(HUNG, f"the model took more than {limit_s:g} s {what}, and its process was ended") from None
        except (EOFError, OSError):
            how = _how(self._process)
            self._end()
            raise ModelDied(DIED, f"the model's process {how} when it was asked {what}") from None
        said = msgspec.msgpack.decode(told, type=wire.Said)
        if said.kind == wire.NO_MEMORY:
            self._end()
            most = self._limits.memory_bytes >> 20
            raise ModelDied(OUTGREW, f"the model needs more than the {most} MiB that it may use, when asked {what}")
        return said, body


def _end(process: subprocess.Popen[bytes], link: socket.socket, folder: tempfile.TemporaryDirectory[str]) -> None:
    link.close()
    process.kill()
    process.wait()
    folder.cleanup()


def _how(process: subprocess.Popen[bytes]) -> str:
    """How it ended; it closed its end of the link, so that it will soon have."""
    try:
        return ended.how(process.wait(1))
    except subprocess.TimeoutExpired:
        return "said no more"


def _environment(threads: int) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MODELOG_") and not any(word in name.upper() for word in _SECRETS)
    }
    return kept | _QUIET | {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
