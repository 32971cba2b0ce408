"""A bucket of InfluxDB 2, made when it is first written to, and texts in the form that its line protocol can hold."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import aiohttp
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.post_bucket_request import PostBucketRequest
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.service.buckets_service import BucketsService
from influxdb_client.service.organizations_service import OrganizationsService

from modelog_common.domain.errors import Unavailable

T = TypeVar("T")
TIMEOUT_MS = 30_000
NOT_FOUND, UNPROCESSABLE = 404, 422
# No @: a filter by a tag of that value finds nothing.
_SAFE = "-._~:/"
_EMPTY = "%"


class Bucket:
    """Behind influxdb://host:port/organisation/bucket (influxdbs: over TLS); `what` is what its errors call it.

    Every method raises Unavailable when InfluxDB does not answer or refuses. Times are whole microseconds.
    """

    def __init__(self, what: str, address: str, token: str) -> None:
        parts = urlsplit(address)
        scheme = "https" if parts.scheme == "influxdbs" else "http"
        self._url = f"{scheme}://{parts.netloc}"
        self._org, self._bucket = (unquote(part) for part in parts.path.strip("/").split("/"))
        self._what, self._token = f"the {what} at {self._url}", token
        self._opened: InfluxDBClientAsync | None = None

    async def write(self, records: str) -> None:
        """Lines of line protocol; on InfluxDB's disk when this returns."""

        async def once() -> None:
            write = self._client().write_api().write
            # Its constants are texts, whatever the client's annotations say.
            await self._answered(write(self._bucket, self._org, records, WritePrecision.US))  # type: ignore[arg-type]

        try:
            await once()
        except _NoBucket:
            await self._make_bucket()
            await once()

    async def rows(self, flux: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What a query gives, which calls the bucket p_bucket; nothing when there is no bucket yet."""
        query = self._client().query_api().query
        try:
            tables = await self._answered(query(flux, self._org, {"p_bucket": self._bucket, **parameters}))
        except _NoBucket:
            return []
        return [record.values for table in tables for record in table.records]

    async def delete(self, start: datetime, end: datetime, predicate: str = "") -> None:
        client = self._client()
        with suppress(_NoBucket):
            await self._answered(client.delete_api().delete(start, end, predicate, self._bucket, self._org))

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def _make_bucket(self) -> None:
        client = self._client()
        orgs = await self._answered(OrganizationsService(client.api_client).get_orgs_async(org=self._org))
        wanted = PostBucketRequest(org_id=orgs.orgs[0].id, name=self._bucket, retention_rules=[])
        with suppress(_HasBucket):
            await self._answered(BucketsService(client.api_client).post_buckets_async(wanted))

    def _client(self) -> InfluxDBClientAsync:
        # Made by the first call, since it belongs to the event loop that it is made in.
        if self._opened is None:
            self._opened = InfluxDBClientAsync(self._url, self._token, self._org, timeout=TIMEOUT_MS)
        return self._opened

    async def _answered(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except InfluxDBError as error:
            status, message = getattr(error, "status", None), str(error.message)
            if status == NOT_FOUND and "bucket" in message:
                raise _NoBucket from error
            if status == UNPROCESSABLE and "bucket" in message and "already exists" in message:
                raise _HasBucket from error
            raise Unavailable(f"{self._what} refuses: {error.message or error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or "it took too long"
            raise Unavailable(f"{self._what} does not answer: {why}") from error


class _NoBucket(Exception):
    """The bucket is not there yet, or not any more."""


class _HasBucket(Exception):
    """Another writer has just made the bucket."""


def encoded(text: str) -> str:
    """Without spaces, commas, quotes, line ends and backslashes; never empty."""
    return quote(text, safe=_SAFE) or _EMPTY


def decoded(text: str) -> str:
    return "" if text == _EMPTY else unquote(text)
