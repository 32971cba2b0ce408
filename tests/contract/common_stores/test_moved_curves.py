"""Curves that are moved into another store are the same, once, however often it is begun."""

from __future__ import annotations

from pathlib import Path

import pytest
from curve_suite import EVERYTHING, append, curve
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.curves import Batch, Block, CurveStore, digest_of
from modelog_common.stores.curves.moving import take_over
from modelog_common.stores.curves.sqlite import SqliteCurveStore


class Breaking(SqliteCurveStore):
    """Takes two batches, and then none."""

    taken = 0

    async def append(  # type: ignore[override]
        self, run: str, tenant: str, author: str, request: str, block: Block
    ) -> Batch | None:
        self.taken += 1
        if self.taken > 2:
            raise Unavailable("it was cut off")
        return await super().append(run, tenant, author, request, block)


async def everything(store: CurveStore) -> list[tuple[str, int, str, str, str, str]]:
    return [
        (b.run, b.number, b.tenant, b.author, b.request, digest_of([b]))
        for run, last in await store.runs()
        for b in await store.batches(run, 1, last)
    ]


async def test_a_file_is_taken_over_once(tmp_path: Path) -> None:
    old = SqliteCurveStore(tmp_path / "curves.db")
    for run in ("r1", "r2"):
        for n in range(3):
            await append(old, run, "alice", f"{run}-{n}", [curve("m", (n, 0, n)), curve("nan", (0, 0, float("nan")))])
    await old.seal("r1", 3)
    await old.seal("r2", 1)
    held = await everything(old)
    await old.close()
    breaking = Breaking(tmp_path / "new.db")
    with pytest.raises(Unavailable, match="it was cut off"):
        await take_over(tmp_path / "curves.db", breaking)
    await breaking.close()
    new = SqliteCurveStore(tmp_path / "new.db")
    await take_over(tmp_path / "curves.db", new)
    assert await everything(new) == held
    assert [(b.run, b.number) for b in await new.unsealed()] == [("r2", 2), ("r2", 3)]
    assert not (tmp_path / "curves.db").exists()
    assert (tmp_path / "curves.db.moved").is_file()
    await take_over(tmp_path / "curves.db", new)
    assert len((await new.history("r1", "m", EVERYTHING, 0, 9)).values) == 3
    await new.close()
