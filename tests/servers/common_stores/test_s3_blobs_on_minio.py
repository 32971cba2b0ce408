"""Blobs on MinIO, which checks signatures."""

from __future__ import annotations

import pytest
from blob_suite import chunks
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.blobs.s3 import S3BlobStore
from real_servers import MinioServer
from s3_blob_suite import S3BlobSuite, make_bucket


class TestS3BlobsOnMinio(S3BlobSuite):
    @pytest.fixture
    def bucket(self, minio: MinioServer, monkeypatch: pytest.MonkeyPatch) -> str:
        environment = {
            "AWS_ENDPOINT_URL": minio.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": minio.access_key,
            "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return make_bucket(environment)

    @pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    async def test_wrong_keys_are_said(self, bucket: str, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
        monkeypatch.setenv(wrong, "not-the-right-one")
        blobs = S3BlobStore(f"s3://{bucket}")
        with pytest.raises(Unavailable, match="refuses the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
            await blobs.put(chunks(b"a"))
