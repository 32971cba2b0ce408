"""What blobs on S3 promise beyond the port: give it `bucket`, an empty one that the AWS_* variables lead to."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from uuid import uuid4

import boto3
import obstore
import pytest
from blob_suite import BlobStoreSuite, chunks, digest_of, read
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.stores.blobs import CHUNK_BYTES, BlobStore
from modelog_common.stores.blobs.s3 import S3BlobStore
from obstore.store import S3Store

BIG_CHUNKS = 19


async def big() -> AsyncIterator[bytes]:
    """19 MiB, every chunk another one: more than one request takes."""
    for n in range(BIG_CHUNKS):
        yield bytes([n]) * CHUNK_BYTES


def in_bucket(bucket: str) -> list[str]:
    store = S3Store(bucket, client_options={"allow_http": True})
    return sorted(o["path"] for page in obstore.list(store) for o in page)


def make_bucket(environment: Mapping[str, str]) -> str:
    """An empty bucket of a test's own."""
    client = boto3.session.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    ).client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
    name = f"blobs-{uuid4()}"
    client.create_bucket(Bucket=name)
    return name


class S3BlobSuite(BlobStoreSuite, ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def bucket(self) -> str: ...

    @pytest.fixture
    def blobs(self, bucket: str) -> BlobStore:
        return S3BlobStore(f"s3://{bucket}/some/folder")

    async def test_a_big_blob_is_sent_in_parts_and_read_in_ranges(self, blobs: BlobStore) -> None:
        hashed = hashlib.sha256()
        async for chunk in big():
            hashed.update(chunk)
        stored = await blobs.put(big(), hashed.hexdigest())
        assert stored.size_bytes == BIG_CHUNKS * CHUNK_BYTES
        assert [(len(c), c[0]) async for c in blobs.open(stored.digest)] == [
            (CHUNK_BYTES, n) for n in range(BIG_CHUNKS)
        ]
        assert await blobs.verify(stored.digest)

    async def test_a_blob_is_one_object_two_folders_deep_and_what_was_refused_is_none(
        self, blobs: BlobStore, bucket: str
    ) -> None:
        async def broken() -> AsyncIterator[bytes]:
            async for chunk in big():
                yield chunk
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await blobs.put(broken())
        with pytest.raises(Invalid):
            await blobs.put(big(), digest_of(b"b"))
        digest = digest_of(b"a")
        for _ in range(2):
            await blobs.put(chunks(b"a"))
        assert in_bucket(bucket) == [f"some/folder/{digest[:2]}/{digest[2:4]}/{digest}"]

    async def test_the_blobs_of_all_folders_are_listed(self, bucket: str) -> None:
        whole = S3BlobStore(f"s3://{bucket}/all")
        names = []
        for folder in ("acme", "acme/profiles", "other"):
            stored = await S3BlobStore(f"s3://{bucket}/all/{folder}").put(chunks(folder.encode()))
            digest = stored.digest
            names.append((f"{folder}/{digest[:2]}/{digest[2:4]}/{digest}", len(folder)))
        await obstore.put_async(whole._store, "acme/notes.txt", b"no blob")
        assert sorted([listed async for listed in whole.listed()]) == sorted(names)
        assert [listed async for listed in S3BlobStore(f"s3://{bucket}/nothing").listed()] == []

    async def test_folders_of_one_bucket_do_not_share_blobs(self, blobs: BlobStore, bucket: str) -> None:
        stored = await blobs.put(chunks(b"mine"))
        other = S3BlobStore(f"s3://{bucket}")
        assert not await other.exists(stored.digest)
        await other.put(chunks(b"mine"))
        assert await read(other, stored.digest) == b"mine"

    async def test_changed_bytes_are_found_out_and_stored_anew(self, blobs: BlobStore, bucket: str) -> None:
        stored = await blobs.put(chunks(b"abc"))
        store = S3Store(bucket, client_options={"allow_http": True})
        obstore.put(store, in_bucket(bucket)[0], b"abd!")
        assert not await blobs.verify(stored.digest)
        await blobs.put(chunks(b"abc"))
        assert await blobs.verify(stored.digest)

    async def test_a_bucket_that_does_not_exist_is_named(self, bucket: str) -> None:
        missing = S3BlobStore("s3://no-such-bucket-here/x")
        for ask in (missing.put(chunks(b"a")), missing.exists(digest_of(b"a")), read(missing, digest_of(b"a"))):
            with pytest.raises(Unavailable, match="s3://no-such-bucket-here/x cannot be used: there is no bucket"):
                await ask

    async def test_a_server_that_is_away_is_named(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        away = S3BlobStore(f"s3://{bucket}")
        with pytest.raises(Unavailable, match=f"the blobs in s3://{bucket} cannot be used"):
            await away.exists(digest_of(b"a"))
