"""Texts among tensors: the protocol's BYTES, which are UTF-8 here.

In binary each element has its length before it, in 4 bytes, little-endian:
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from modelog_common.domain.errors import Invalid

from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.engine.texts import OBJECT, text_columns

_LENGTH = struct.Struct("<I")


def of_elements(field: str, elements: Sequence[bytes]) -> AnyArray:
    """(elements,) texts; raises Invalid for what is not UTF-8, naming its place."""
    values: AnyArray = np.empty(len(elements), OBJECT)
    for number, element in enumerate(elements):
        try:
            values[number] = element.decode()
        except UnicodeDecodeError as error:
            raise Invalid.field(f"{field}[{number}]", f"is not UTF-8: {error}; BYTES hold texts here") from None
    return values


def of_binary(field: str, data: bytes, size: int) -> AnyArray:
    """(size,) texts, each with its length before it; raises Invalid."""
    elements: list[bytes] = []
    at = 0
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise Invalid.field(field, f"ends within the length of element {len(elements)}, which takes 4 bytes")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            left = len(data) - at
            raise Invalid.field(field, f"element {len(elements)} has {length} bytes by its length; {left} are left")
        elements.append(data[at : at + length])
        at += length
    if len(elements) != size:
        raise Invalid.field(field, f"has {len(elements)} elements; the shape takes {size}")
    return of_elements(field, elements)


def to_binary(values: AnyArray) -> bytes:
    """The other way."""
    encoded = [text.encode() for text in values.tolist()]
    return b"".join(part for element in encoded for part in (_LENGTH.pack(len(element)), element))


def check(names: Sequence[str], matrix: Matrix, most_bytes: int) -> None:
    """Raises Invalid for a text that has no UTF-8, and for more of them than are taken."""
    total = 0
    for column in text_columns(matrix):
        for row, text in enumerate(matrix[:, column].tolist()):
            try:
                total += len(text.encode())
            except UnicodeEncodeError:
                raise Invalid.field(
                    "inputs",
                    f"row {row}, column {names[column]!r} is no text that UTF-8 can hold: half a surrogate pair",
                ) from None
    if total > most_bytes:
        raise Invalid.field("inputs", f"have {total} bytes of texts; at most {most_bytes} are allowed")
