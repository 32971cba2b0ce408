"""Objects in a bucket of S3, or of what speaks S3."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

from modelog.batch.libraries import in_short, library
from modelog.errors import Invalid, Unavailable

S3 = "s3://"
RANGE_BYTES = 16 << 20


class Bucket:
    """What is under `s3://bucket/prefix`; names are those below the prefix.

    Where the server is and who may use it comes from the environment, as everywhere with S3: AWS_ENDPOINT_URL,
    AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. `field` is what errors name.
    """

    def __init__(self, address: str, field: str) -> None:
        self.address, self._field = address, field
        bucket, _, prefix = address[len(S3) :].partition("/")
        if not bucket:
            raise Invalid(f"{field}: {address} names no bucket; such as s3://BUCKET/PREFIX")
        self._library = library("obstore")
        self._bucket, self._prefix = bucket, prefix.strip("/")
        self._store: Any = library("obstore.store").S3Store(
            bucket,
            client_options={"allow_http": True, "connect_timeout": "5s", "timeout": "60s"},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )

    def listed(self) -> Iterator[Tuple[str, int]]:
        """Names and sizes in bytes, by name."""
        prefix = f"{self._prefix}/" if self._prefix else ""
        with self._explained():
            found = [
                (str(each["path"]), int(each["size"]))
                for page in self._library.list(self._store, prefix=prefix or None)
                for each in page
            ]
        yield from sorted((path[len(prefix) :], size) for path, size in found if path.startswith(prefix))

    def size(self, name: str) -> Optional[int]:
        """In bytes; None for what is not there."""
        with self._explained():
            try:
                return int(self._library.head(self._store, self._key(name))["size"])
            except FileNotFoundError:
                return None

    def read(self, name: str) -> Optional[bytes]:
        """An object; None when it is not there."""
        with self._explained():
            try:
                return bytes(self._library.get(self._store, self._key(name)).bytes())
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """There whole, or not at all."""
        with self._explained():
            self._library.put(self._store, self._key(name), content)

    def fetch(self, name: str, target: Path) -> Path:
        """An object to a file, piece by piece."""
        with self._explained(), target.open("wb") as file:
            for piece in self._library.get(self._store, self._key(name)).stream(min_chunk_size=RANGE_BYTES):
                file.write(piece)
        return target

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)

    def _explained(self) -> _Explained:
        return _Explained(self._field, self.address, self._bucket)


class _Explained:
    """Says of what the library raises what is to be done."""

    def __init__(self, field: str, address: str, bucket: str) -> None:
        self._field, self._address, self._bucket = field, address, bucket

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> None:
        exceptions = library("obstore.exceptions")
        if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
            raise Unavailable(
                f"{self._field}: {self._address}: the server refuses the keys in AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            ) from None
        if isinstance(error, FileNotFoundError) or (error is not None and "NoSuchBucket" in str(error)):
            raise Invalid(
                f"{self._field}: {self._address}: there is no such object, or no bucket {self._bucket!r}"
            ) from None
        if isinstance(error, (exceptions.BaseError, OSError)):
            raise Unavailable(f"{self._field}: {self._address} cannot be used: {in_short(error)}") from None


def names_of(bucket: Bucket, endings: Tuple[str, ...]) -> List[str]:
    """The names below the prefix with these endings, but not what begins with _ or a dot, by name."""
    found = [name for name, _ in bucket.listed() if name.endswith(endings)]
    return [name for name in found if not any(part.startswith(("_", ".")) for part in name.split("/"))]
