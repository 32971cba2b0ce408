"""The port to the graph: a property graph that is asked in Cypher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Row = dict[str, Any]


@dataclass(frozen=True)
class Statement:
    """A Cypher statement with its parameters: numbers, text, booleans, None, lists and maps of these."""

    cypher: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Graph(Protocol):
    """A property graph that is asked in Cypher.

    Every method raises Unavailable when the database does not answer or stays busy, Conflict when a uniqueness
    constraint refuses what is written, and the driver's own error when a statement is wrong.
    """

    async def run_write(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run the statements in one transaction; gives the rows of each.

        A transaction that conflicts with another one, or whose server gave up leading, is run again from its first
        statement: statements must come to the same when they are run twice.
        """
        ...

    async def run_read(self, cypher: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a query that changes nothing."""
        ...

    async def run_schema(self, statements: Sequence[str]) -> None:
        """Run statements about constraints and indexes, each in a transaction of its own."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
