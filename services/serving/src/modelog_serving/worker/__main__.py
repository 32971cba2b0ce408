"""The process of one model: loads it, answers rows with outputs, and ends with serving or when it takes too long."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from pathlib import Path

import msgspec
import numpy as np
from modelog_common.domain.errors import Invalid, ModelogError

from modelog_serving.deployment.signature import TEXT, Signature
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.engine.texts import OBJECT
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker import wire

# Serving kills what takes too long; where serving is gone, the kernel does, somewhat later.
GRACE_S = 10.0


def main() -> None:
    link, file = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    head, _ = wire.receive(link)
    load = msgspec.msgpack.decode(head, type=wire.Load)
    if load.memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (load.memory_bytes, load.memory_bytes))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    model = _loaded(load, file, link)
    os.close(file)
    while model is not None:
        try:
            head, body = wire.receive(link)
        except (EOFError, OSError):
            return
        rows = wire.matrix_of(msgspec.msgpack.decode(head, type=wire.Rows), body)
        signal.setitimer(signal.ITIMER_REAL, load.predict_s + GRACE_S)
        said, answers = _answered(model, rows, load.signature)
        signal.setitimer(signal.ITIMER_REAL, 0)
        wire.send(link, said, answers)
        if said.kind == wire.NO_MEMORY:
            return


def _loaded(load: wire.Load, file: int, link: socket.socket) -> Model | None:
    try:
        with open(os.dup(file), "rb") as opened:
            opened.seek(0)
            content = opened.read()
        model = LazyRuntimes(load.threads).of(load.flavor).load(content, load.signature, load.approved)
    except ModelogError as error:
        wire.send(link, wire.Said(wire.REFUSED, str(error)))
    except MemoryError:
        wire.send(link, wire.Said(wire.NO_MEMORY))
    else:
        wire.send(link, wire.Said(wire.LOADED, memory_bytes=memory_bytes()))
        return model
    return None


def _answered(model: Model, rows: Matrix, signature: Signature) -> tuple[wire.Said, Matrix | None]:
    width = signature.output_width
    texts = any(spec.datatype == TEXT for spec in signature.outputs)
    allowed = (OBJECT,) if texts else (np.float32, np.float64)
    try:
        answers = np.asarray(model.predict(rows))
        if answers.shape != (len(rows), width) or answers.dtype not in allowed:
            cells = "cells" if texts else "numbers"
            what = f"with {answers.dtype} of shape {list(answers.shape)}; expected are {[len(rows), width]} {cells}"
            return wire.Said(wire.FAILED, f"it answered {len(rows)} rows {what}"), None
    except Invalid as error:
        return wire.Said(wire.INVALID, str(error)), None
    except MemoryError:
        return wire.Said(wire.NO_MEMORY), None
    except Exception as error:  # whatever the code of the model raises
        return wire.Said(wire.FAILED, f"{type(error).__name__}: {error}".splitlines()[0][:500]), None
    return wire.Said(wire.ANSWER, matrix=wire.rows_of(answers), memory_bytes=memory_bytes()), answers


def memory_bytes() -> int:
    """What counts against the limit; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    main()
