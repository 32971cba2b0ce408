"""Blobs on S3 against moto, which speaks S3 in a process of its own and checks no signatures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer
from s3_blob_suite import S3BlobSuite, make_bucket


@pytest.fixture(scope="module")
def moto_address() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestS3BlobsOnMoto(S3BlobSuite):
    @pytest.fixture
    def bucket(self, moto_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
        environment = {
            "AWS_ENDPOINT_URL": moto_address,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return make_bucket(environment)
