"""A registry whose files stand in a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from modelog_common.domain.errors import NotFound
from moto.server import ThreadedMotoServer


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server of this test's own."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {"ENDPOINT_URL": f"http://{host}:{port}", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "somebody")
    made = f"registry-{uuid4()}"
    client = boto3.session.Session("somebody", "somebody", region_name="us-east-1").client("s3")
    client.create_bucket(Bucket=made)
    yield made
    server.stop()


async def test_files_go_into_the_bucket_and_tenants_do_not_share_them(
    tmp_path: Path, bucket: str, registry_with: Any
) -> None:
    content = b"a model" * 1000
    digest = hashlib.sha256(content).hexdigest()
    async with registry_with(tmp_path, blobs=f"s3://{bucket}/modelog") as registry:
        alice = registry.person("alice")
        await alice.upload(content, expected=digest, size=1000)
        assert await alice.download(digest) == content
        with pytest.raises(NotFound):
            await registry.person("eve", tenant="other").download(digest)
    assert not list(tmp_path.glob("blobs/**/*"))
