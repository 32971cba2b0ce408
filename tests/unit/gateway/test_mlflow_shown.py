"""JSON that the gateway made before: found by the bytes it was made of, for their tenant, and forgotten in time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from modelog_common.rpc.call import Call, calling
from modelog_common.security.tokens import Identity
from modelog_gateway.mlflow.shown import Shown

WAIT_S = 150


class Maker:
    """Counts what it makes."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    async def __call__(self, encoded: bytes) -> dict[str, Any]:
        self.made.append(encoded)
        return {"of": encoded.decode()}


async def shown(kept: Shown, make: Maker, *encoded: bytes, tenant: str = "default", kind: str = "run") -> list[str]:
    with calling(Call(Identity("alice", tenant, frozenset({"viewer"})), "c")):
        found = await kept.each(kind, encoded, make)
    return [one["of"] for one in msgspec.json.decode(msgspec.json.encode(found))]


async def test_json_is_made_once_and_in_the_order_that_is_asked_for() -> None:
    kept, make = Shown(), Maker()
    assert await shown(kept, make, b"a", b"b") == ["a", "b"]
    assert await shown(kept, make, b"b", b"c", b"a") == ["b", "c", "a"]
    assert make.made == [b"a", b"b", b"c"]


@pytest.mark.parametrize("other", [{"tenant": "acme"}, {"kind": "model"}])
async def test_what_was_made_for_others_is_made_again(other: dict[str, str]) -> None:
    kept, make = Shown(), Maker()
    await shown(kept, make, b"a")
    await shown(kept, make, b"a", **other)
    assert make.made == [b"a", b"a"]


async def test_what_nobody_asks_for_is_forgotten() -> None:
    kept, make = Shown(half_s=0.01), Maker()
    await shown(kept, make, b"a", b"b")
    async with asyncio.timeout(WAIT_S):
        while kept.kept:
            await asyncio.sleep(0)
    assert await shown(kept, make, b"a") == ["a"]
    assert make.made == [b"a", b"b", b"a"]


async def test_no_more_is_kept_than_there_is_room_for() -> None:
    kept, make = Shown(half_bytes=1000), Maker()
    await shown(kept, make, *(b"%d" % n for n in range(100)))
    assert kept.kept == 4
    assert await shown(kept, make, b"99", b"0") == ["99", "0"]
    assert len(make.made) == 101
