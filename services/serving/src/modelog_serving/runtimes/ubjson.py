"""Whether a file in UBJSON is whole: XGBoost reads beyond the end of one that was cut off, and the process dies.

As far as XGBoost writes it. https://ubjson.org/#types
"""

from __future__ import annotations

_SIZES = {b"Z": 0, b"T": 0, b"F": 0, b"C": 1, b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8, b"d": 4, b"D": 8}
_WHOLE = b"iUIlL"
DEEPEST = 50


class NotWhole(Exception):
    """The text says where."""


def check_whole(content: bytes) -> None:
    """Raise NotWhole unless the content begins with one object that ends before the content does."""
    # What ends each thing that is open: its sign, or that so many values of it were read.
    closing: list[bytes | int] = []
    at = 0
    while at == 0 or closing:
        last = closing[-1] if closing else b""
        if last == 0 or (last and content[at : at + 1] == last):
            closing.pop()
            at += 0 if last == 0 else 1
            continue
        if last == b"}":
            at = _after_text(content, at)
        elif isinstance(last, int):
            closing[-1] = last - 1
        marker = content[at : at + 1]
        at += 1
        if marker == b"{":
            closing.append(b"}")
        elif at == 1:
            raise NotWhole("it does not begin with an object")
        elif marker == b"[" and content[at : at + 1] == b"$":
            at = _after_array(content, at)
        elif marker == b"[" and content[at : at + 1] == b"#":
            count, at = _length(content, at + 1)
            closing.append(count)
        elif marker == b"[":
            closing.append(b"]")
        elif marker == b"S":
            at = _after_text(content, at)
        else:
            at += _size(marker, at)
        if at > len(content) or len(closing) > DEEPEST:
            raise NotWhole(f"what begins before byte {at} does not end in {len(content)} bytes, or lies too deep")


def _after_array(content: bytes, at: int) -> int:
    """Of one type: "$", the type, "#", how many."""
    kind, sharp = content[at + 1 : at + 2], content[at + 2 : at + 3]
    if sharp != b"#":
        raise NotWhole(f"the array at byte {at} has a type and no length")
    length, at = _length(content, at + 3)
    return at + length * _size(kind, at)


def _after_text(content: bytes, at: int) -> int:
    length, at = _length(content, at)
    return at + length


def _length(content: bytes, at: int) -> tuple[int, int]:
    kind = content[at : at + 1]
    size = _SIZES[kind] if kind and kind in _WHOLE else 0
    number = content[at + 1 : at + 1 + size]
    length = int.from_bytes(number, "big", signed=kind != b"U")
    if not size or len(number) < size or length < 0:
        raise NotWhole(f"there is no length at byte {at}")
    return length, at + 1 + size


def _size(kind: bytes, at: int) -> int:
    if kind not in _SIZES:
        raise NotWhole(f"there is no value before byte {at}")
    return _SIZES[kind]
