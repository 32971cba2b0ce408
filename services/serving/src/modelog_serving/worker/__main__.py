"""The process of one model: loads it, answers rows with outputs, and ends with serving or when it takes too long."""

from __future__ import annotations

import os
import signal
import socket
import sys

import msgspec
from modelog_common.domain.errors import ModelogError

from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker import wire
from modelog_serving.worker.answering import answered, learned
from modelog_serving.worker.memory import limit, memory_bytes

# Serving kills what takes too long; where serving is gone, the kernel does, somewhat later.
GRACE_S = 10.0


def main() -> None:
    link, file = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    head, _ = wire.receive(link)
    load = msgspec.msgpack.decode(head, type=wire.Load)
    limit(load.memory_bytes)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    model = _loaded(load, _content(file), link)
    os.close(file)
    states = {} if model is None else {0: model}
    while states:
        try:
            head, body = wire.receive(link)
        except (EOFError, OSError):
            return
        signal.setitimer(signal.ITIMER_REAL, load.predict_s + GRACE_S)
        answers: Matrix | bytes | None = None
        match msgspec.msgpack.decode(head, type=wire.Asked):
            case wire.Rows() as told:
                said, answers = answered(states[told.state], wire.matrix_of(told, body), load.signature)
            case wire.State(number):
                signal.setitimer(signal.ITIMER_REAL, 0)
                state = _loaded(load, bytes(body), link)
                if state is not None:
                    states[number] = state
                continue
            case wire.Forget(number):
                states.pop(number, None)
                said = wire.Said(wire.LOADED)
            case wire.Learn(size, told):
                said, answers = learned(states[0], bytes(body[:size]), wire.matrix_of(told, body[size:]))
        signal.setitimer(signal.ITIMER_REAL, 0)
        wire.send(link, said, answers)
        if said.kind in (wire.NO_MEMORY, wire.DIED):
            return


def _content(file: int) -> bytes:
    with open(os.dup(file), "rb") as opened:
        opened.seek(0)
        return opened.read()


def _loaded(load: wire.Load, content: bytes, link: socket.socket) -> Model | None:
    """Says how it went."""
    try:
        model = (
            LazyRuntimes(load.threads, device=load.device).of(load.flavor).load(content, load.signature, load.approved)
        )
    except ModelogError as error:
        wire.send(link, wire.Said(wire.REFUSED, str(error)))
    except MemoryError:
        wire.send(link, wire.Said(wire.NO_MEMORY))
    else:
        wire.send(link, wire.Said(wire.LOADED, memory_bytes=memory_bytes()))
        return model
    return None


if __name__ == "__main__":
    main()
