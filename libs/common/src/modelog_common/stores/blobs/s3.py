"""Blobs in an S3 bucket, or in what speaks S3: MinIO, Ceph, R2."""

from __future__ import annotations

import hashlib
import re
import tempfile
from asyncio import to_thread
from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from datetime import timedelta
from typing import IO, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from modelog_common.domain.errors import NotFound, Unavailable
from modelog_common.stores.blobs import CHUNK_BYTES, Blob, Expected, check_digest, check_expected, compare

T = TypeVar("T")
_BLOB = re.compile("(^|/)([0-9a-f]{2})/([0-9a-f]{2})/\\2\\3[0-9a-f]{60}$")
# What is asked for at once; it is handed on in chunks.
RANGE_BYTES = 8 * CHUNK_BYTES
# Up to this size a blob is sent in one request, which can be refused when the blob is there; larger ones in parts.
ONE_REQUEST_BYTES = 8 * CHUNK_BYTES
REFUSED = "the server refuses the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class S3BlobStore:
    """A BlobStore under `s3://bucket/prefix`: `ab/cd/abcd...`, each object complete from the moment that it is there.

    Where the server is and who may use it comes from the environment, as everywhere with S3: AWS_ENDPOINT_URL,
    AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; or from the machine's role.

    The bytes wait in a temporary file until their digest is known: what fails before was never in the bucket, a blob
    may be larger than the 5 GiB that a server copies, and no half of one is left behind under another name.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._bucket = bucket
        self._store = S3Store(
            bucket,
            prefix=prefix.strip("/") or None,
            client_options={"allow_http": True, "connect_timeout": "5s", "timeout": "60s"},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )

    async def put(self, chunks: AsyncIterable[bytes], expected_digest: Expected = None) -> Blob:
        check_expected(expected_digest)
        hashed, size = hashlib.sha256(), 0
        with tempfile.SpooledTemporaryFile(ONE_REQUEST_BYTES) as file:
            async for chunk in chunks:
                size += len(chunk)
                await to_thread(_keep, file, hashed, chunk)
            blob = Blob(hashed.hexdigest(), size)
            compare(blob, expected_digest)
            there = await self._size(blob.digest)
            if there != size:
                await self._send(file, blob.digest, size, anew=there is not None)
        return blob

    async def _send(self, file: IO[bytes], digest: str, size: int, *, anew: bool) -> None:
        file.seek(0)
        if anew or size > ONE_REQUEST_BYTES:
            await self._run(obstore.put_async(self._store, _key(digest), file))
            return
        try:
            await self._run(obstore.put_async(self._store, _key(digest), file.read(), mode="create"))
        except AlreadyExistsError:
            return  # somebody stored the same bytes at the same time

    async def open(self, digest: str) -> AsyncIterator[bytes]:
        size = await self.size(digest)
        for start in range(0, size, RANGE_BYTES):
            end = min(start + RANGE_BYTES, size)
            part = memoryview(await self._run(obstore.get_range_async(self._store, _key(digest), start=start, end=end)))
            for first in range(0, len(part), CHUNK_BYTES):
                yield bytes(part[first : first + CHUNK_BYTES])

    async def listed(self) -> AsyncIterator[tuple[str, int]]:
        """Every blob in the folders below the address: its name such as `tenant/ab/cd/abcd...`, and its length."""
        try:
            async for page in obstore.list(self._store):
                for found in page:
                    if _BLOB.search(found["path"]):
                        yield found["path"], int(found["size"])
        except (BaseError, OSError) as error:
            raise self._explained(error) from error

    async def exists(self, digest: str) -> bool:
        check_digest(digest)
        return await self._size(digest) is not None

    async def size(self, digest: str) -> int:
        check_digest(digest)
        size = await self._size(digest)
        if size is None:
            raise NotFound(f"there is no blob {digest}")
        return size

    async def verify(self, digest: str) -> bool:
        hashed = hashlib.sha256()
        async for chunk in self.open(digest):
            await to_thread(hashed.update, chunk)
        return hashed.hexdigest() == digest

    async def _size(self, digest: str) -> int | None:
        """The length of what is stored under this digest; None when nothing is."""
        try:
            return int((await self._run(obstore.head_async(self._store, _key(digest))))["size"])
        except FileNotFoundError:
            await self._check_bucket()
            return None

    async def _check_bucket(self) -> None:
        """Raise Unavailable when the bucket is missing: to HEAD that looks like a missing blob."""
        try:
            await self._run(anext(aiter(obstore.list(self._store, prefix="no-such-folder")), None))
        except FileNotFoundError as error:
            raise self._explained(error) from error

    async def _run(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except (NotFoundError, AlreadyExistsError, FileNotFoundError):
            raise
        except (BaseError, OSError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Unavailable:
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            reason = REFUSED
        elif isinstance(error, FileNotFoundError) or "NoSuchBucket" in str(error):
            reason = f"there is no bucket {self._bucket!r}; create it or name another one in MODELOG_BLOBS"
        else:
            # The rest of the text is how the library got there.
            reason = str(error).strip().partition("\n")[0][:300]
        return Unavailable(f"the blobs in {self.address} cannot be used: {reason}")


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def _keep(file: IO[bytes], hashed: hashlib._Hash, chunk: bytes) -> None:
    hashed.update(chunk)
    file.write(chunk)
