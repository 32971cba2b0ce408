"""Hashes the leaves and inner nodes of a segment's tree in compiled loops, by the libcrypto that Python's hashlib uses.

Importing this module needs numba, and raises ImportError where SHA-256 of libcrypto cannot be called by itself. The
bytes that are hashed are those of `leaves`, which is the reference; what is not usual is left to it.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit
from numba import types as numba_types
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
HASH_BYTES = 32
# Larger than libcrypto's SHA256_CTX, of 112 bytes, which may be copied as it is (openssl/sha.h).
STATE_WORDS = 16
# Fields of PredictionBatch, and wire types: https://protobuf.dev/programming-guides/encoding/
IDS, TIMES, KEYS, ANSWERED_BY = 5, 6, 7, 9
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
TIME_DIGITS = 20
compiled = njit(cache=True, nogil=True, error_model="numpy")

# A type of numba's, called with types, is the signature of a function that returns it.
types: Any = numba_types


def _link() -> None:
    """Tell numba where the functions are; the name under which it knows them is kept with what is compiled."""
    import _hashlib

    try:
        library = ctypes.CDLL(_hashlib.__file__)
        for name in ("SHA256_Init", "SHA256_Update", "SHA256_Final"):
            address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            llvmlite.binding.add_symbol(f"modelog_{name}", address)
    except (OSError, AttributeError) as error:
        raise ImportError(f"libcrypto's SHA-256 cannot be called: {error}") from error


_link()


def _function(name: str, takes: int) -> Any:
    """A function that takes so many sizes or addresses, which are numbers here, and returns one that nobody looks at.

    An array whose address was taken is to be used once more behind the last call that gets it: numba frees what is not.
    """
    return types.ExternalFunction(name, types.uintp(*[types.uintp] * takes))


_begin, _take, _end = (
    _function("modelog_SHA256_Init", 1),
    _function("modelog_SHA256_Update", 3),
    _function("modelog_SHA256_Final", 2),
)
_move = _function("memcpy", 3)


@compiled
def parents(row: Bytes, out: Bytes) -> None:
    """Of hashes of 32 bytes, one behind the other, SHA-256(0x01 || left || right) of each two neighbours."""
    state, node = np.empty(STATE_WORDS, np.uint64), np.empty(1 + 2 * HASH_BYTES, np.uint8)
    node[0] = 1
    for n in range(len(out) // HASH_BYTES):
        _move(node.ctypes.data + 1, row.ctypes.data + 2 * HASH_BYTES * n, 2 * HASH_BYTES)
        _begin(state.ctypes.data)
        _take(state.ctypes.data, node.ctypes.data, len(node))
        _end(out.ctypes.data + HASH_BYTES * n, state.ctypes.data)
    node[0] = state[0] = 0


@compiled
def leaves(
    body: Bytes,
    before: Bytes,
    answerers: Bytes,
    answerer_lengths: NDArray[np.int64],
    between: Bytes,
    features: NDArray[np.float64],
    outputs: NDArray[np.float64],
    out: Bytes,
) -> bool:
    """Fill `out` with the leaf hash of each row of a stored batch; False when it is not as serving writes it.

    `body` is the batch in protobuf. `before`, what is the same in all leaves up to the id, the tag with its 0x00
    included; `answerers`, the two fields of each, and their lengths; `between`, what is the same between the event's
    time and the numbers; `features` and `outputs` are (rows, numbers).
    """
    rows = len(features)
    id_places, key_places = np.empty((rows, 2), np.int64), np.empty((rows, 2), np.int64)
    times = np.empty(rows, np.int64)
    by, keys = _walk(body, id_places, key_places, times)
    if by < 0 or (keys and keys != rows):
        return False
    if not keys:
        key_places = id_places
    width = max(features.shape[1], outputs.shape[1])
    numbers = np.empty(width, np.float64)
    room = id_places[:, 1].max() + key_places[:, 1].max() + answerer_lengths.max() + TIME_DIGITS + len(between)
    leaf = np.empty(room + 5 * 4 + 2 * 8 * width, np.uint8)
    begun, state = np.empty(STATE_WORDS, np.uint64), np.empty(STATE_WORDS, np.uint64)
    time, told = np.empty(4 + TIME_DIGITS, np.uint8), 0
    _begin(begun.ctypes.data)
    _take(begun.ctypes.data, before.ctypes.data, len(before))
    for row in range(rows):
        at = _field(body, id_places[row, 0], id_places[row, 1], leaf, 0)
        at = _field(body, key_places[row, 0], key_places[row, 1], leaf, at)
        answerer = body[by + row]
        if answerer >= len(answerer_lengths):
            return False
        at = _copy(answerers, answerer_lengths[:answerer].sum(), answerer_lengths[answerer], leaf, at)
        if row == 0 or times[row] != times[row - 1]:
            told = _decimal(times[row], time)
        at = _copy(time, 0, told, leaf, at)
        at = _copy(between, 0, len(between), leaf, at)
        at = _numbers(features[row], numbers, leaf, at)
        at = _numbers(outputs[row], numbers, leaf, at)
        _move(state.ctypes.data, begun.ctypes.data, 8 * STATE_WORDS)
        _take(state.ctypes.data, leaf.ctypes.data, at)
        _end(out.ctypes.data + HASH_BYTES * row, state.ctypes.data)
    begun[0] = state[0] = leaf[0] = time[0] = 0
    numbers[:] = 0
    return True


@compiled
def _walk(
    body: Bytes, id_places: NDArray[np.int64], key_places: NDArray[np.int64], times: NDArray[np.int64]
) -> tuple[int, int]:
    """Where ids and keys are (place and length), and the times; where `answered_by` is and how many keys there are.

    The first is -1 when there are not as many of them as rows, or a time is below 0.
    """
    rows, at, size = len(id_places), 0, len(body)
    ids, keys, timed, by = 0, 0, 0, -1
    while at < size:
        tag, at = _varint(body, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _value, at = _varint(body, at)
            if number == TIMES:
                return -1, 0
        elif kind == FIXED64:
            at += 8
        elif kind == FIXED32:
            at += 4
        elif kind == LENGTH:
            length, at = _varint(body, at)
            if length < 0 or length > size - at:
                return -1, 0
            if number == IDS:
                if ids == rows:
                    return -1, 0
                id_places[ids, 0], id_places[ids, 1] = at, length
                ids += 1
            elif number == KEYS:
                if keys == rows:
                    return -1, 0
                key_places[keys, 0], key_places[keys, 1] = at, length
                keys += 1
            elif number == ANSWERED_BY:
                by = at if length == rows else -1
            elif number == TIMES:
                place = at
                while place < at + length:
                    moment, place = _varint(body, place)
                    if timed == rows or moment < 0:
                        return -1, 0
                    times[timed] = moment
                    timed += 1
            at += length
        else:
            return -1, 0
    if at != size or ids != rows or timed != rows:
        return -1, 0
    return by, keys


@compiled
def _varint(body: Bytes, at: int) -> tuple[int, int]:
    """A number and the place behind it; the number is below 0 when it does not end."""
    value, shift = 0, 0
    while at < len(body) and shift < 70:
        value |= int(body[at] & 0x7F) << shift
        at += 1
        if body[at - 1] < 0x80:
            return value, at
        shift += 7
    return -1, at + len(body)


@compiled
def _numbers(row: NDArray[np.float64], told: NDArray[np.float64], leaf: Bytes, at: int) -> int:
    """A field with numbers, with one kind of NaN only."""
    for n in range(len(row)):
        told[n] = row[n] if row[n] == row[n] else np.nan
    at = _length(8 * len(row), leaf, at)
    _move(leaf.ctypes.data + at, told.ctypes.data, 8 * len(row))
    return at + 8 * len(row)


@compiled
def _length(length: int, leaf: Bytes, at: int) -> int:
    """Big-endian, as it stands before each field."""
    leaf[at], leaf[at + 1], leaf[at + 2], leaf[at + 3] = length >> 24, length >> 16, length >> 8, length
    return at + 4


@compiled
def _field(source: Bytes, start: int, length: int, leaf: Bytes, at: int) -> int:
    return _copy(source, start, length, leaf, _length(length, leaf, at))


@compiled
def _copy(source: Bytes, start: int, length: int, leaf: Bytes, at: int) -> int:
    _move(leaf.ctypes.data + at, source.ctypes.data + start, length)
    return at + length


@compiled
def _decimal(value: int, field: Bytes) -> int:
    """Write a number of 0 or more in decimal digits; returns how long the field is."""
    digits, rest = 1, value // 10
    while rest:
        rest //= 10
        digits += 1
    _length(digits, field, 0)
    for n in range(digits):
        field[3 + digits - n] = 48 + value % 10
        value //= 10
    return 4 + digits
