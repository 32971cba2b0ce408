"""What a frame of the prediction log's journal holds, as it is read and written by its annotations."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """`Answers` to requests without ids of their own. Matrices are row-major.

    Where there are `rows`, ids, times and keys are those of requests, which have so many rows each.
    """

    tenant: str
    deployment: str
    model: str
    ids: Sequence[str]
    event_times_us: Sequence[int]
    keys: Sequence[str]
    answerers: list[tuple[str, str]]
    answered_by: bytes
    feature_names: Sequence[str]
    features: tuple[str, bytes]
    outputs: tuple[str, bytes]
    answered_at_us: int
    rows: Sequence[int] = ()
