"""The port to search: documents found by words, kinds and tags, as of a position of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Document:
    """What was true of a thing from `position` on and before `until`; None means that it is true still.

    Tenant, id and position together tell documents apart. Words are looked for in the title, the text and the tags.
    """

    tenant: str
    id: str
    kind: str
    title: str
    position: int
    text: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    until: int | None = None


@dataclass(frozen=True)
class Query:
    """What to look for: documents of one tenant that hold all words of `text`, the last one perhaps begun only.

    `kinds`: any of these; none means all. `tags`: all of these. `at`: as of this position; None means now. `after`: the
    token of the page before.
    """

    tenant: str
    text: str = ""
    kinds: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    at: int | None = None
    limit: int = 20
    after: str = ""


@dataclass(frozen=True)
class Found:
    """A page of documents, and what there is in all: how many, of which kinds, with which of the commonest tags.

    `tags` counts texts such as "stage=production". `next` is the token of the next page, empty on the last one.
    """

    documents: Sequence[Document]
    total: int
    kinds: Mapping[str, int]
    tags: Mapping[str, int]
    next: str = ""


class SearchStore(Protocol):
    """Documents and one mark: a text that says how far they have come.

    The order of answers depends on the documents alone, so it is the same for ever as of a position: by how well the
    words match (a word of the title counts 3, the beginning of one 2, anything else 1), then the newest first.
    Every method raises Unavailable when the store does not answer, and Invalid for what `checks` refuses.
    """

    async def write(self, documents: Sequence[Document], mark: str) -> None:
        """Store documents, in place of those that are there already, and then the mark; of two equal ones the last.

        They are found as soon as this returns. After Unavailable some may be stored, but never the mark without all.
        """
        ...

    async def remove(self, tenant: str, ids: Sequence[str]) -> None:
        """Forget these things at every position."""
        ...

    async def as_of(self, tenant: str, ids: Sequence[str], at: int) -> list[Document]:
        """The documents of these things that were true at a position."""
        ...

    async def find(self, query: Query) -> Found:
        """A page of what matches."""
        ...

    async def mark(self) -> str | None:
        """The mark that was stored last; None in a new store, or in one that was dropped."""
        ...

    async def drop(self) -> None:
        """Forget everything, the mark too."""
        ...

    async def close(self) -> None:
        """Close the store's files or connections."""
        ...
