"""Files through gRPC: stored whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.errors import Forbidden, Invalid, NotFound
from modelog_proto.registry.v1 import artifact_pb2 as pb


def files_in(registry: Any) -> list[Path]:
    return [path for path in (registry.folder / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"x", b"a model" * 300_000])
async def test_what_is_uploaded_comes_back(alice: Any, bob: Any, content: bytes) -> None:
    stored = await alice.upload(content, size=1 << 20, expected=hashlib.sha256(content).hexdigest())
    assert (stored.digest, stored.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert await bob.download(stored.digest) == content
    assert await bob.upload(content, size=1 << 19) == stored, "the same content again is the same file"


async def test_a_wrong_digest_stores_nothing(alice: Any, registry: Any) -> None:
    with pytest.raises(Invalid, match="so nothing was stored") as refused:
        await alice.upload(b"a model", expected="0" * 64)
    assert refused.value.violations[0].field == "expected_digest"
    with pytest.raises(Invalid, match="expected_digest"):
        await alice.upload(b"a model", expected="not a digest")
    with pytest.raises(Invalid, match="chunk"):
        await alice.upload(b"x" * ((1 << 20) + 1), size=1 << 21)
    assert not files_in(registry)


async def test_an_upload_that_breaks_off_stores_nothing(alice: Any, registry: Any) -> None:
    written = asyncio.Event()

    async def half() -> Any:
        yield pb.UploadArtifactRequest(chunk=b"half a model")
        written.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(_finish(alice.artifacts.UploadArtifact(half())))
    await written.wait()
    async with asyncio.timeout(150):
        while not files_in(registry):  # the server has begun to write
            await asyncio.to_thread(files_in, registry)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await alice.channel.close()
    async with asyncio.timeout(150):
        while files_in(registry):  # and has cleaned up
            await asyncio.to_thread(files_in, registry)


async def _finish(call: Any) -> Any:
    return await call


async def test_what_is_not_there_is_named(alice: Any) -> None:
    with pytest.raises(NotFound, match="0" * 64):
        await alice.download("0" * 64)
    with pytest.raises(Invalid, match="digest"):
        await alice.download("../../etc/passwd")


async def test_another_tenant_does_not_get_it(alice: Any, registry: Any) -> None:
    stored = await alice.upload()
    eve = registry.person("eve", tenant="other")
    with pytest.raises(NotFound):
        await eve.download(stored.digest)
    await eve.model()
    with pytest.raises(Invalid, match="is not in the artifact store"):
        await eve.version()


async def test_a_viewer_may_read_only(registry: Any, alice: Any) -> None:
    stored = await alice.upload()
    viewer = registry.person("vera", "viewer")
    assert await viewer.download(stored.digest)
    with pytest.raises(Forbidden, match=r"artifact\.write"):
        await viewer.upload()


async def test_a_refusal_is_heard_by_who_is_still_sending(registry: Any) -> None:
    viewer = registry.person("vera", "viewer")

    async def slowly(turns: int) -> Any:
        for _ in range(3):
            for _ in range(turns):
                await asyncio.sleep(0)
            yield pb.UploadArtifactRequest(chunk=b"x")

    for turns in range(100):
        with pytest.raises(Forbidden, match=r"artifact\.write"):
            await viewer.artifacts.UploadArtifact(slowly(turns))
