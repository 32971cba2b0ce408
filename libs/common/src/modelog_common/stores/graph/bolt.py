"""The graph behind a Bolt address: Neo4j, and ArcadeDB as the embedded default."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from neo4j import AsyncGraphDatabase, AsyncManagedTransaction
from neo4j.exceptions import AuthError, ConstraintError, DriverError, Neo4jError, SessionExpired, TransientError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.stores.graph import Row, Statement

RETRY_FOR_S = 10.0
# A lost race for a new key is over after a try or two: what is refused this often is a duplicate.
MOST_REFUSALS = 12
T = TypeVar("T")


class BoltGraph:
    """A Graph behind a Bolt address such as bolt://127.0.0.1:7687; without a `database` in the server's own default."""

    def __init__(self, uri: str, user: str, password: str, database: str = "") -> None:
        self._uri, self._database = uri, database or None
        self._driver = AsyncGraphDatabase.driver(
            uri,
            auth=(user, password),
            # A server that has just started, or has no processor, greets after seconds.
            connection_timeout=15.0,
            connection_acquisition_timeout=30.0,
            notifications_min_severity="OFF",  # that a property does not exist yet is no news
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
                retry=retry_if_exception(_is_passing),
                wait=wait_random_exponential(multiplier=0.02, max=1),
                stop=_is_enough,
                reraise=True,
            ):
                with attempt:
                    return await work()
        except (DriverError, AuthError, OSError) as error:
            raise Unavailable(f"the graph at {self._uri} does not answer: {error}") from error
        except ConstraintError as error:
            raise Conflict(f"a constraint of the graph at {self._uri} is in the way: {error.message}") from error
        except Neo4jError as error:
            if error.is_retryable():
                raise Unavailable(f"the graph at {self._uri} is busy: {error.message}") from error
            raise
        raise AssertionError("unreachable: the last attempt returns or raises")


async def _rows(transaction: AsyncManagedTransaction, cypher: str, parameters: Mapping[str, Any]) -> list[Row]:
    result = await transaction.run(cypher, dict(parameters))
    return [record.data() async for record in result]


def _is_passing(error: BaseException) -> bool:
    """Whether the same work may succeed at once: after a deadlock, a leader's change, or a race for one new key."""
    return isinstance(error, TransientError | SessionExpired | ConstraintError)


def _is_enough(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, ConstraintError) and state.attempt_number >= MOST_REFUSALS:
        return True
    return (state.seconds_since_start or 0.0) > RETRY_FOR_S
