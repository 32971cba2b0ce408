"""The graph behind a Bolt address: Neo4j, and ArcadeDB as the embedded default."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from neo4j import AsyncGraphDatabase, AsyncManagedTransaction
from neo4j.exceptions import AuthError, ConstraintError, DriverError, Neo4jError, TransientError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from modelog_common.domain.errors import Unavailable
from modelog_common.stores.graph import Row, Statement

DATABASE = "modelog"
RETRY_FOR_S = 10.0
T = TypeVar("T")


class BoltGraph:
    """A Graph behind a Bolt address such as bolt://127.0.0.1:7687."""

    def __init__(self, uri: str, user: str, password: str, database: str | None = DATABASE) -> None:
        self._uri, self._database = uri, database
        self._driver = AsyncGraphDatabase.driver(
            uri,
            auth=(user, password),
            connection_timeout=3.0,
            connection_acquisition_timeout=10.0,
            liveness_check_timeout=1.0,  # a connection from before a restart is not handed out
            max_transaction_retry_time=0.0,  # retries are ours, since the driver's leave out conflicts of MERGE
        )

    async def run_write(self, statements: Sequence[Statement]) -> list[list[Row]]:
        async def all_of_them(transaction: AsyncManagedTransaction) -> list[list[Row]]:
            return [await _rows(transaction, s.cypher, s.parameters) for s in statements]

        async def once() -> list[list[Row]]:
            async with self._driver.session(database=self._database) as session:
                return await session.execute_write(all_of_them)

        return await self._retried(once)

    async def run_read(self, cypher: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        async def once() -> list[Row]:
            async with self._driver.session(database=self._database) as session:
                return await session.execute_read(_rows, cypher, parameters or {})

        return await self._retried(once)

    async def run_schema(self, statements: Sequence[str]) -> None:
        async def once(statement: str) -> None:
            async with self._driver.session(database=self._database) as session:
                result = await session.run(statement)
                await result.consume()

        for statement in statements:
            await self._retried(lambda s=statement: once(s))  # type: ignore[misc]

    async def close(self) -> None:
        await self._driver.close()

    async def _retried(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception(_is_conflict),
                wait=wait_random_exponential(multiplier=0.02, max=1),
                stop=stop_after_delay(RETRY_FOR_S),
                reraise=True,
            ):
                with attempt:
                    return await work()
        except (DriverError, AuthError, OSError) as error:
            raise Unavailable(f"the graph at {self._uri} does not answer: {error}") from error
        except Neo4jError as error:
            if _is_conflict(error) or error.is_retryable():
                raise Unavailable(f"the graph at {self._uri} is busy: {error.message}") from error
            raise
        raise AssertionError("unreachable: the last attempt returns or raises")


async def _rows(transaction: AsyncManagedTransaction, cypher: str, parameters: Mapping[str, Any]) -> list[Row]:
    result = await transaction.run(cypher, dict(parameters))
    return [record.data() async for record in result]


def _is_conflict(error: BaseException) -> bool:
    """Whether another transaction was in the way: also when two of them MERGE the same new key."""
    return isinstance(error, TransientError | ConstraintError)
