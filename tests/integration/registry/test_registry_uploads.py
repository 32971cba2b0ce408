"""Files that come in parts through gRPC: no file before it is whole and right, and none of it lost by kill -9."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.errors import Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.registry.v1 import artifact_pb2 as pb

PARTS = (b"first " * 1000, b"second " * 1000, b"third")
WHOLE = b"".join(PARTS)
DIGEST = hashlib.sha256(WHOLE).hexdigest()


async def begin(person: Any, digest: str = DIGEST, size: int = len(WHOLE)) -> Any:
    return await person.artifacts.BeginUpload(pb.BeginUploadRequest(expected_digest=digest, size_bytes=size))


async def send(person: Any, upload_id: str, number: int, content: bytes, expected: str = "") -> Any:
    pieces = [content[n : n + 4000] for n in range(0, len(content), 4000)] or [b""]
    messages = [pb.UploadPartRequest(upload_id=upload_id, number=number, chunk=piece) for piece in pieces]
    messages[0].expected_digest = expected
    return await person.artifacts.UploadPart(messages)


async def complete(person: Any, upload_id: str, parts: Sequence[Any] = ()) -> Any:
    return await person.artifacts.CompleteUpload(pb.CompleteUploadRequest(upload_id=upload_id, parts=parts))


async def get(person: Any, upload_id: str) -> Any:
    return await person.artifacts.GetUpload(pb.GetUploadRequest(upload_id=upload_id))


async def test_parts_in_any_order_make_one_file(alice: Any) -> None:
    upload = await begin(alice)
    for number in (3, 1):
        await send(alice, upload.id, number, PARTS[number - 1])
    held = await get(alice, upload.id)
    assert [part.number for part in held.parts] == [1, 3]
    assert (held.held_bytes, held.stored) == (len(PARTS[0]), False)
    with pytest.raises(NotFound):
        await alice.download(DIGEST)
    with pytest.raises(Invalid, match="part 2 is missing; send it"):
        await complete(alice, upload.id)
    await send(alice, upload.id, 2, PARTS[1], hashlib.sha256(PARTS[1]).hexdigest())
    stored = await complete(alice, upload.id)
    assert (stored.digest, stored.size_bytes) == (DIGEST, len(WHOLE))
    assert await alice.download(DIGEST) == WHOLE
    assert await complete(alice, upload.id) == stored, "asked twice, it is stored once"
    with pytest.raises(NotAllowed, match="takes no more parts"):
        await send(alice, upload.id, 4, b"more")


async def test_what_is_stored_already_need_not_be_sent(alice: Any) -> None:
    await alice.upload(WHOLE, size=1 << 20)
    upload = await begin(alice)
    assert (upload.stored, upload.held_bytes) == (True, len(WHOLE))
    eve = await begin(alice, hashlib.sha256(b"other").hexdigest(), 5)
    assert not eve.stored


async def test_a_wrong_checksum_stores_nothing_and_begins_anew(alice: Any, registry: Any) -> None:
    upload = await begin(alice)
    wrong = bytes(len(WHOLE))
    await send(alice, upload.id, 1, wrong)
    with pytest.raises(Invalid, match="nothing was stored, and the parts were dropped") as refused:
        await complete(alice, upload.id)
    assert refused.value.violations[0].field == "expected_digest"
    with pytest.raises(NotFound):
        await alice.download(hashlib.sha256(wrong).hexdigest())
    again = await begin(alice)
    assert (again.id, again.held_bytes) == (upload.id, 0)
    await send(alice, again.id, 1, WHOLE)
    assert (await complete(alice, again.id)).digest == DIGEST
    assert not [p for p in (registry.folder / "blobs").rglob("*") if p.name.startswith(".incoming")]


async def test_what_was_told_and_what_is_held_must_be_the_same(alice: Any) -> None:
    upload = await begin(alice)
    part = await send(alice, upload.id, 1, PARTS[0])
    with pytest.raises(Invalid, match=f"part 1 that is held has {part.digest}"):
        await complete(alice, upload.id, [pb.UploadedPart(number=1, digest="0" * 64)])
    with pytest.raises(Invalid, match="part 2 is missing"):
        await complete(alice, upload.id, [part, pb.UploadedPart(number=2)])
    with pytest.raises(Invalid, match=f"have {len(PARTS[0])} bytes together; the file was to have {len(WHOLE)}"):
        await complete(alice, upload.id, [part])
    with pytest.raises(Invalid, match=r"number"):
        await send(alice, upload.id, 10_001, b"x")
    with pytest.raises(Invalid, match="the id of an upload"):
        await send(alice, "../../../../etc/passwd/../../../../etc", 1, b"x")
    with pytest.raises(Invalid, match="upload_id"):
        await alice.artifacts.UploadPart([])
    others = [pb.UploadPartRequest(upload_id=upload.id, number=n, chunk=b"x") for n in (1, 2)]
    with pytest.raises(Invalid, match="a stream is of one part"):
        await alice.artifacts.UploadPart(others)
    assert (await get(alice, upload.id)).parts == [part]


async def test_an_upload_is_for_the_person_who_began_it(registry: Any, alice: Any, bob: Any) -> None:
    upload = await begin(alice)
    await send(alice, upload.id, 1, WHOLE)
    for other in (bob, registry.person("alice", tenant="other")):
        for asked in (get(other, upload.id), complete(other, upload.id), send(other, upload.id, 1, b"x")):
            with pytest.raises(NotFound, match="there is no upload"):
                await asked
        await other.artifacts.AbortUpload(pb.AbortUploadRequest(upload_id=upload.id))
        assert (await begin(other)).id != upload.id
    viewer = registry.person("vera", "viewer")
    with pytest.raises(Forbidden, match=r"artifact\.write"):
        await begin(viewer)
    assert (await complete(alice, upload.id)).digest == DIGEST


async def test_an_aborted_upload_is_gone(alice: Any) -> None:
    upload = await begin(alice)
    await send(alice, upload.id, 1, WHOLE)
    for _ in range(2):
        await alice.artifacts.AbortUpload(pb.AbortUploadRequest(upload_id=upload.id))
    with pytest.raises(NotFound):
        await get(alice, upload.id)


async def test_parts_survive_a_kill_and_those_that_were_given_up_go(process: Any) -> None:
    alice = process.person("alice")
    upload, given_up = await begin(alice), await begin(alice, hashlib.sha256(b"lost").hexdigest(), 4)
    first = await send(alice, upload.id, 1, PARTS[0])
    await send(alice, given_up.id, 1, b"lo")
    half = asyncio.create_task(_half(alice, upload.id))
    folder = Path(process.folder) / "registry" / "uploads"
    async with asyncio.timeout(150):
        while not list((folder / upload.id).glob(".incoming-*")):  # the second part is being written
            await asyncio.to_thread(os.listdir, folder)
    process.kill()
    half.cancel()
    await asyncio.wait([half])
    for path in (*(folder / given_up.id).iterdir(), folder / given_up.id):
        os.utime(path, (0, 0))
    process.start()
    await process.ready()
    again = await begin(alice)
    assert (again.id, list(again.parts), again.held_bytes) == (upload.id, [first], len(PARTS[0]))
    for number in (2, 3):
        await send(alice, upload.id, number, PARTS[number - 1])
    assert (await complete(alice, upload.id)).digest == DIGEST
    assert await alice.download(DIGEST) == WHOLE
    async with asyncio.timeout(150):
        while (folder / given_up.id).exists():
            await asyncio.to_thread(os.listdir, folder)
    with pytest.raises(NotFound, match="nothing came to it for a day"):
        await get(alice, given_up.id)


async def test_what_was_half_stored_when_it_was_killed_is_removed_at_the_next_start(process: Any) -> None:
    alice = process.person("alice")

    async def endless() -> Any:
        yield pb.UploadArtifactRequest(chunk=b"half")
        await asyncio.Event().wait()

    half = alice.artifacts.UploadArtifact(endless())
    async with asyncio.timeout(150):
        while not (left := list(Path(process.folder).glob("blobs/*/.incoming-*"))):
            await asyncio.to_thread(os.listdir, process.folder)
    process.kill()
    half.cancel()
    assert left[0].exists()
    process.start()
    await process.ready()
    assert not left[0].exists()


async def _half(person: Any, upload_id: str) -> None:
    async def messages() -> Any:
        yield pb.UploadPartRequest(upload_id=upload_id, number=2, chunk=PARTS[1][:100])
        await asyncio.Event().wait()

    await person.artifacts.UploadPart(messages())
