"""Hashes the leaves and inner nodes of a segment's tree in compiled loops, by the libcrypto that Python's hashlib uses.

Importing this module needs numba, and raises ImportError where SHA-256 of libcrypto cannot be called by itself. The
bytes that are hashed are those of `groups`, which is the reference; what is not usual is left to it.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding
import numpy as np
from modelog_proofs import GROUP_ROWS
from modelog_proofs.prediction_group import EXACT_FEATURES, EXACT_OUTPUTS, KEYED
from numba import njit
from numba import types as numba_types
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
States = NDArray[np.uint64]
HASH_BYTES = 32
# Larger than libcrypto's SHA256_CTX, of 112 bytes, which may be copied as it is (openssl/sha.h).
STATE_WORDS = 16
# Fields of PredictionBatch, and wire types: https://protobuf.dev/programming-guides/encoding/
IDS, TIMES, KEYS = 5, 6, 7
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
# What is looked up by its place in a table: features, outputs, both as float64, and answered_by.
FEATURES, OUTPUTS, NUMBERS = 0, 1, 4
BY = NUMBERS
BLOCK_FIELDS = (11, 12, 18, 19, 9)
compiled = njit(cache=True, nogil=True, error_model="numpy")
inlined = njit(cache=True, nogil=True, error_model="numpy", inline="always")

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
def begin(heads: Bytes, lengths: NDArray[np.int64], out: States) -> None:
    """SHA-256 of each head, which stand one behind the other, as far as it is: a row of `out` goes on with it."""
    at = 0
    for n in range(len(lengths)):
        _begin(out.ctypes.data + 8 * STATE_WORDS * n)
        _take(out.ctypes.data + 8 * STATE_WORDS * n, heads.ctypes.data + at, lengths[n])
        at += lengths[n]
    if len(heads):
        out[0, 0] = out[0, 0]


@compiled
def groups(body: Bytes, begun: States, answered_at: int, rows: int, features: int, outputs: int, out: Bytes) -> int:
    """Fill `out` with the leaf hashes of a stored batch, and tell how many; -1 when it is not as serving writes it.

    `body` is the batch in protobuf, of so many rows, features and outputs; `begun`, what `begin` made of the heads of
    its answerers.
    """
    id_places, key_places = np.empty((rows, 2), np.int64), np.empty((rows, 2), np.int64)
    times, blocks = np.empty(rows, np.int64), np.full((NUMBERS + 1, 2), -1, np.int64)
    keys = _walk(body, id_places, key_places, times, blocks)
    if keys < 0 or (keys and keys != rows) or blocks[BY, 1] != rows:
        return -1
    if not keys:
        key_places = id_places
    if not (_has(blocks, FEATURES, 4 * rows * features) and _has(blocks, OUTPUTS, 4 * rows * outputs)):
        return -1
    features_4, features_8 = _singles(body, blocks, FEATURES), _exact(body, blocks, FEATURES)
    outputs_4, outputs_8 = _singles(body, blocks, OUTPUTS), _exact(body, blocks, OUTPUTS)
    texts = id_places[:, 1].max() + key_places[:, 1].max()
    row_bytes = np.empty(2 + 4 + 4 + texts + 8 + 8 * (features + outputs), np.uint8)
    state, leaf = np.empty(STATE_WORDS, np.uint64), np.empty(8 + HASH_BYTES * GROUP_ROWS, np.uint8)
    _time(answered_at, leaf, 0)
    made, held, by = 0, 0, blocks[BY, 0]
    for row in range(rows):
        answerer = body[by + row]
        if answerer >= len(begun):
            return -1
        row_bytes[0], flags = 2, 0
        at = _field(body, id_places[row, 0], id_places[row, 1], row_bytes, 2)
        key, key_length = key_places[row, 0], key_places[row, 1]
        if keys and not (key_length == id_places[row, 1] and _same(body, id_places[row, 0], key, key_length)):
            flags |= KEYED
            at = _field(body, key, key_length, row_bytes, at)
        at = _time(times[row], row_bytes, at)
        is_exact, at = _numbers(features_4, features_8, row, features, row_bytes, at)
        flags |= EXACT_FEATURES * is_exact
        is_exact, at = _numbers(outputs_4, outputs_8, row, outputs, row_bytes, at)
        row_bytes[1] = flags | EXACT_OUTPUTS * is_exact
        _begin(state.ctypes.data)
        _take(state.ctypes.data, row_bytes.ctypes.data, at)
        _end(leaf.ctypes.data + 8 + HASH_BYTES * held, state.ctypes.data)
        held += 1
        if held == GROUP_ROWS or row + 1 == rows or body[by + row + 1] != answerer:
            _move(state.ctypes.data, begun.ctypes.data + 8 * STATE_WORDS * answerer, 8 * STATE_WORDS)
            _take(state.ctypes.data, leaf.ctypes.data, 8 + HASH_BYTES * held)
            _end(out.ctypes.data + HASH_BYTES * made, state.ctypes.data)
            made, held = made + 1, 0
    state[0] = leaf[0] = row_bytes[0] = 0
    _keep(features_4, features_8)
    _keep(outputs_4, outputs_8)
    return made


@compiled
def _keep(single: NDArray[np.uint32], exact: NDArray[np.uint64]) -> None:
    """Use them once more."""
    single[:1] = 0
    exact[:1] = 0


@compiled
def _has(blocks: NDArray[np.int64], number: int, size: int) -> bool:
    """Whether the numbers are as many as they are to be; protobuf leaves out what is empty."""
    length, exact = max(blocks[number, 1], 0), blocks[number + NUMBERS // 2, 1]
    return bool(length == size and (exact <= 0 or exact == 2 * size))


@compiled
def _walk(
    body: Bytes,
    id_places: NDArray[np.int64],
    key_places: NDArray[np.int64],
    times: NDArray[np.int64],
    blocks: NDArray[np.int64],
) -> int:
    """Find where ids, keys, and what else has a length are (place and length), and the times.

    Returns how many keys there are, -1 when there are not as many of the others as rows.
    """
    rows, at, size = len(id_places), 0, len(body)
    ids, keys, timed = 0, 0, 0
    while at < size:
        tag, at = _varint(body, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _value, at = _varint(body, at)
            if number == TIMES:
                return -1
        elif kind == FIXED64:
            at += 8
        elif kind == FIXED32:
            at += 4
        elif kind == LENGTH:
            length, at = _varint(body, at)
            if length < 0 or length > size - at:
                return -1
            if number == IDS:
                if ids == rows:
                    return -1
                id_places[ids, 0], id_places[ids, 1] = at, length
                ids += 1
            elif number == KEYS:
                if keys == rows:
                    return -1
                key_places[keys, 0], key_places[keys, 1] = at, length
                keys += 1
            elif number == TIMES:
                place = at
                while place < at + length:
                    moment, place = _varint(body, place)
                    if timed == rows or moment < 0:
                        return -1
                    times[timed] = moment
                    timed += 1
            else:
                for block in range(NUMBERS + 1):
                    if number == BLOCK_FIELDS[block]:
                        blocks[block, 0], blocks[block, 1] = at, length
            at += length
        else:
            return -1
    if at != size or ids != rows or timed != rows:
        return -1
    return keys


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
def _singles(body: Bytes, blocks: NDArray[np.int64], number: int) -> NDArray[np.uint32]:
    """The numbers as float32, in bits, with one kind of NaN only."""
    found = np.empty(max(blocks[number, 1], 0) // 4, np.uint32)
    _move(found.ctypes.data, body.ctypes.data + blocks[number, 0], 4 * len(found))
    for n in range(len(found)):
        bits = found[n]
        found[n] = np.uint32(0x7FC00000) if bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000) else bits
    return found


@compiled
def _exact(body: Bytes, blocks: NDArray[np.int64], number: int) -> NDArray[np.uint64]:
    """The same as float64; empty where float32 holds them all."""
    block = number + NUMBERS // 2
    found = np.empty(max(blocks[block, 1], 0) // 8, np.uint64)
    _move(found.ctypes.data, body.ctypes.data + blocks[block, 0], 8 * len(found))
    for n in range(len(found)):
        bits = found[n]
        is_nan = bits & np.uint64(0x7FFFFFFFFFFFFFFF) > np.uint64(0x7FF0000000000000)
        found[n] = np.uint64(0x7FF8000000000000) if is_nan else bits
    return found


@inlined
def _numbers(
    single: NDArray[np.uint32], exact: NDArray[np.uint64], row: int, width: int, out: Bytes, at: int
) -> tuple[bool, int]:
    """Copy a row's numbers; tells whether they are float64, and the place behind them."""
    if len(exact) and not _held(exact.view(np.float64), row * width, width):
        _move(out.ctypes.data + at, exact.ctypes.data + 8 * width * row, 8 * width)
        return True, at + 8 * width
    _move(out.ctypes.data + at, single.ctypes.data + 4 * width * row, 4 * width)
    return False, at + 4 * width


@inlined
def _held(numbers: NDArray[np.float64], first: int, width: int) -> bool:
    """Whether float32 holds them exactly."""
    held = True
    for n in range(first, first + width):
        held &= np.float64(np.float32(numbers[n])) == numbers[n] or numbers[n] != numbers[n]
    return held


@inlined
def _same(body: Bytes, one: int, other: int, length: int) -> bool:
    """Whether so many bytes from two places on are alike."""
    n = 0
    while n < length and body[one + n] == body[other + n]:
        n += 1
    return bool(n == length)


@inlined
def _time(value: int, out: Bytes, at: int) -> int:
    """Big-endian."""
    for n in range(8):
        out[at + n] = value >> 56 - 8 * n & 0xFF
    return at + 8


@inlined
def _length(length: int, leaf: Bytes, at: int) -> int:
    """Big-endian, as it stands before each field."""
    leaf[at], leaf[at + 1], leaf[at + 2], leaf[at + 3] = length >> 24, length >> 16, length >> 8, length
    return at + 4


@inlined
def _field(source: Bytes, start: int, length: int, leaf: Bytes, at: int) -> int:
    return _copy(source, start, length, leaf, _length(length, leaf, at))


@inlined
def _copy(source: Bytes, start: int, length: int, leaf: Bytes, at: int) -> int:
    _move(leaf.ctypes.data + at, source.ctypes.data + start, length)
    return at + length
