"""Connections to one PostgreSQL database: replaced when they die, and their errors said in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from modelog_common.domain.errors import Unavailable

MAX_CONNECTIONS = 8
CONNECT_S = 10
# A command is tried twice, so a cut network is told of within half a minute; none takes more than a page of events.
COMMAND_S = 15
# Durable commits and fresh snapshots whatever the server's defaults are; every query here has an index, which a table
# without statistics would not be read by, and the same plan whatever it is asked.
SERVER_SETTINGS = {
    "application_name": "modelog",
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}
# What says that a connection is dead or out of step, and what else may go wrong.
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.exceptions.OperatorInterventionError,
    OSError,
    TimeoutError,
    EOFError,
)
ERRORS = (*LOST, asyncpg.PostgresError, ValueError)
T = TypeVar("T")


class PostgresLink:
    """A pool of connections, made as they are needed."""

    def __init__(self, url: str) -> None:
        self.address = address_of(url)
        self._url = url
        self._pool: Any = None
        # How often a connection was lost: another server may answer since, or the same one from a backup.
        self.losses = 0

    @classmethod
    async def open(cls, url: str) -> PostgresLink:
        """Does not connect yet; raises Unavailable for an address that cannot be one."""
        link = cls(url)
        try:
            link._pool = await asyncpg.create_pool(
                url, min_size=0, max_size=MAX_CONNECTIONS, timeout=CONNECT_S, command_timeout=COMMAND_S,
                server_settings=SERVER_SETTINGS, reset=_keep_as_it_is,
            )  # fmt: skip
        except ERRORS as error:
            raise link.unavailable(error) from error
        return link

    async def connect(self) -> Any:
        """A connection of one's own, for listening; raises Unavailable."""
        try:
            return await asyncpg.connect(
                self._url, timeout=CONNECT_S, command_timeout=COMMAND_S, server_settings=SERVER_SETTINGS
            )
        except ERRORS as error:
            raise self.unavailable(error) from error

    async def run(self, work: Callable[[Any], Awaitable[T]], *, again: bool = True) -> T:
        """Do `work` with a connection, and `again` when that one turns out to be dead; raises Unavailable.

        What is done again must be such that it can be: a read, or an append, which knows its events by their ids.
        """
        try:
            try:
                return await self._once(work)
            except LOST as lost:
                if not again or isinstance(lost, asyncpg.DataError):
                    raise
                return await self._once(work)
        except ERRORS as error:
            raise self.unavailable(error) from error

    async def _once(self, work: Callable[[Any], Awaitable[T]]) -> T:
        async with self._pool.acquire(timeout=CONNECT_S) as connection:
            try:
                return await work(connection)
            except LOST:
                # It is dead or out of step. Handed back as it is, it would be waited for, or given to the next caller.
                connection.terminate()
                self.losses += 1
                raise

    def unavailable(self, error: BaseException) -> Unavailable:
        """The error for everything that the server or the way to it refuses."""
        what = str(error) or type(error).__name__
        return Unavailable(f"the PostgreSQL server at {self.address} cannot be used: {what}")

    async def close(self) -> None:
        """Close every connection."""
        self._pool.terminate()


async def _keep_as_it_is(_: Any) -> None:
    """Connections are handed back as they were taken: no session state is ever set, so nothing needs resetting."""


def address_of(url: str) -> str:
    """host:port/database of an address, without the password."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"
