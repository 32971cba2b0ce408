"""Files that come in parts: what was acknowledged is held, what broke off is not, and what nobody wants goes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from blob_suite import chunks, digest_of
from modelog_common.domain.errors import Conflict, Invalid, NotFound, Unavailable
from modelog_common.stores.blobs import Blob
from modelog_common.stores.uploads import Begun, Part, Uploads

BEGUN = Begun("acme", "alice", digest_of(b"onetwo"), 6)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads")


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


async def read(uploads: Uploads, parts: list[Part]) -> bytes:
    return b"".join([chunk async for chunk in uploads.content("u", parts)])


async def test_parts_are_held_in_any_order_and_read_by_number(uploads: Uploads, tmp_path: Path) -> None:
    await uploads.begin("u", BEGUN)
    second = await uploads.keep("u", 2, chunks(b"t", b"wo"), digest_of(b"two"))
    first = await uploads.keep("u", 1, chunks(b"one"))
    assert second == Part(2, digest_of(b"two"), 3)
    # Another process sees the same.
    again = Uploads(tmp_path / "uploads")
    assert await again.begun("u") == BEGUN
    assert await again.parts("u") == [first, second]
    assert await read(again, [first, second]) == b"onetwo"


async def test_a_part_that_is_sent_again_takes_the_place_of_the_first(uploads: Uploads) -> None:
    await uploads.begin("u", BEGUN)
    before = await uploads.keep("u", 1, chunks(b"wrong"))
    part = await uploads.keep("u", 1, chunks(b"one"))
    await uploads.begin("u", BEGUN)
    assert await uploads.parts("u") == [part]
    with pytest.raises(Conflict, match="was sent again"):
        await read(uploads, [before])


async def test_of_two_of_one_number_that_a_kill_left_the_newer_counts(uploads: Uploads, tmp_path: Path) -> None:
    await uploads.begin("u", BEGUN)
    part = await uploads.keep("u", 1, chunks(b"one"))
    older = tmp_path / "uploads" / "u" / Part(1, digest_of(b"old"), 3).name
    older.write_bytes(b"old")
    os.utime(older, (0, 0))
    assert await uploads.parts("u") == [part]


async def test_what_breaks_off_or_has_another_digest_is_not_held(uploads: Uploads, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"on"
        raise ConnectionResetError

    await uploads.begin("u", BEGUN)
    with pytest.raises(ConnectionResetError):
        await uploads.keep("u", 1, broken())
    with pytest.raises(Invalid, match="the 3 bytes of part 1 have") as refused:
        await uploads.keep("u", 1, chunks(b"one"), digest_of(b"two"))
    assert refused.value.violations[0].field == "expected_digest"
    assert await uploads.parts("u") == []
    assert names(tmp_path) == ["uploads/u/upload.json"]


async def test_what_was_not_begun_is_not_found(uploads: Uploads) -> None:
    for asked in (uploads.begun("u"), uploads.parts("u"), uploads.touched("u"), uploads.keep("u", 1, chunks(b"one"))):
        with pytest.raises(NotFound, match="there is no upload u"):
            await asked
    assert await uploads.stored("u") is None
    await uploads.drop("u")


async def test_a_finished_upload_knows_what_it_was_stored_as_and_holds_nothing(
    uploads: Uploads, tmp_path: Path
) -> None:
    await uploads.begin("u", BEGUN)
    await uploads.keep("u", 1, chunks(b"onetwo"))
    await uploads.finish("u", Blob(digest_of(b"onetwo"), 6))
    assert await Uploads(tmp_path / "uploads").stored("u") == Blob(digest_of(b"onetwo"), 6)
    assert names(tmp_path) == ["uploads/u/stored.json", "uploads/u/upload.json"]


async def test_what_nothing_comes_to_is_dropped_after_a_time(uploads: Uploads, tmp_path: Path) -> None:
    for upload_id in ("old", "spared", "fresh", "continued"):
        await uploads.begin(upload_id, BEGUN)
        await uploads.keep(upload_id, 1, chunks(b"one"))
    long_ago = datetime.now(UTC) - timedelta(days=2)
    for upload_id in ("old", "spared", "continued"):
        folder = tmp_path / "uploads" / upload_id
        for path in (*folder.iterdir(), folder):
            os.utime(path, (long_ago.timestamp(), long_ago.timestamp()))
    await uploads.keep("continued", 2, chunks(b"two"))
    (tmp_path / "uploads" / "somebody's file").write_bytes(b"")
    assert await uploads.sweep(long_ago + timedelta(hours=1), {"spared"}) == ["old"]
    left = sorted(path.name for path in (tmp_path / "uploads").iterdir() if path.is_dir())
    assert left == ["continued", "fresh", "spared"]
    assert (await uploads.touched("spared")) - long_ago < timedelta(seconds=1)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="the folder of uploads .*file/uploads cannot be used"):
        await Uploads(tmp_path / "file" / "uploads").begin("u", BEGUN)
