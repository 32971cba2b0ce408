"""What serving and a model's own process say to each other: a small head, then a matrix: its bytes, or its texts."""

from __future__ import annotations

import socket
import struct
import time

import msgspec
import numpy as np

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import OBJECT
from modelog_serving.learning.terms import Seen
from modelog_serving.worker.limits import CPU, Device

_SIZES = struct.Struct("<IQ")


class Load(msgspec.Struct, frozen=True):
    """The first thing said to a process: load the file that it was given; an answer may take `predict_s`."""

    flavor: str
    signature: Signature
    approved: bool
    threads: int
    memory_bytes: int
    predict_s: float
    device: Device = CPU


class Rows(msgspec.Struct, frozen=True, tag=True):
    """A matrix follows, row by row; `state` says which of the process's states is asked, 0 for the file's own."""

    dtype: str
    rows: int
    columns: int
    state: int = 0


class State(msgspec.Struct, frozen=True, tag=True):
    """A state of the model follows, which is asked for by this number from now on."""

    number: int


class Forget(msgspec.Struct, frozen=True, tag=True):
    """A state that is asked no more."""

    number: int


class Learn(msgspec.Struct, frozen=True, tag=True):
    """A state of the model follows, so many bytes, and then the matrix of a lesson; none stands for the file's."""

    state_bytes: int
    rows: Rows


Asked = Rows | State | Forget | Learn


class Said(msgspec.Struct, frozen=True):
    """What a process says. `kind` is one of those below; `memory_bytes` is what it holds now. `seen` is of a lesson,
    after which the bytes of the new state follow."""

    kind: str
    text: str = ""
    matrix: Rows | None = None
    memory_bytes: int = 0
    seen: Seen | None = None


LOADED, ANSWER, LEARNED, REFUSED, INVALID = "loaded", "answer", "learned", "refused", "invalid"
FAILED, NO_MEMORY, DIED = "failed", "no memory", "died"
NOTHING = Rows("<f4", 0, 0)


def send(link: socket.socket, head: msgspec.Struct, body: Matrix | bytes | None = None) -> None:
    """Raises OSError when the other side is gone, TimeoutError when it does not take what is sent."""
    told = msgspec.msgpack.encode(head)
    follows = b"" if body is None else body if isinstance(body, bytes) else _body(body)
    link.sendall(_SIZES.pack(len(told), len(follows)) + told)
    if follows:
        link.sendall(follows)


def receive(link: socket.socket, until: float | None = None) -> tuple[bytes, bytearray]:
    """Head and body; `until` is a moment of time.monotonic(). Raises EOFError when the other side is gone, TimeoutError
    when it says nothing more."""
    head_size, body_size = _SIZES.unpack(_exactly(link, _SIZES.size, until))
    return bytes(_exactly(link, head_size, until)), _exactly(link, body_size, until)


def _body(matrix: Matrix) -> memoryview | bytes:
    """Texts have no place in memory that could be sent."""
    if matrix.dtype == OBJECT:
        return msgspec.msgpack.encode(matrix.ravel().tolist())
    return np.ascontiguousarray(matrix).data.cast("B")


def learn_of(state: bytes, rows: Matrix) -> tuple[Learn, bytes]:
    """The head and the body of a lesson."""
    return Learn(len(state), rows_of(rows)), state + np.ascontiguousarray(rows).tobytes()


def rows_of(matrix: Matrix, state: int = 0) -> Rows:
    """The head of a matrix."""
    return Rows(matrix.dtype.str, matrix.shape[0], matrix.shape[1], state)


def matrix_of(head: Rows, body: bytearray) -> Matrix:
    """The matrix that a head and a body make."""
    if np.dtype(head.dtype) == OBJECT:
        cells: Matrix = np.empty(head.rows * head.columns, OBJECT)
        cells[:] = msgspec.msgpack.decode(body, type=list[str | float])
        return cells.reshape(head.rows, head.columns)
    made: Matrix = np.frombuffer(body, np.dtype(head.dtype)).reshape(head.rows, head.columns)
    return made


def _exactly(link: socket.socket, size: int, until: float | None) -> bytearray:
    found = bytearray(size)
    view, at = memoryview(found), 0
    while at < size:
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            link.settimeout(left)
        count = link.recv_into(view[at:])
        if not count:
            raise EOFError
        at += count
    return found
