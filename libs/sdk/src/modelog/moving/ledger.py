"""What was moved, what was here already, and what was not moved and why."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List

from modelog.errors import Forbidden, ModelogError, Unauthenticated, Unavailable
from modelog.types import Record

KINDS = ("experiments", "runs", "metric points", "artifacts", "logged models", "registered models", "versions")
# These end the import: they say nothing about the one thing that was being moved.
FATAL = (Forbidden, Unauthenticated, Unavailable)


class NotMoved(Record):
    """Something that is not here now as it is there."""

    kind: str
    name: str
    why: str


class Count(Record):
    moved: int = 0
    known: int = 0


class Ledger:
    """The count of an import; `tell` is called with each new step, for people who wait."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self.counts: Dict[str, Count] = {kind: Count() for kind in KINDS}
        self.not_moved: List[NotMoved] = []
        self.tell = tell

    def moved(self, kind: str, count: int = 1) -> None:
        self.counts[kind].moved += count

    def known(self, kind: str, count: int = 1) -> None:
        self.counts[kind].known += count

    def refuse(self, kind: str, name: str, why: str) -> None:
        self.not_moved.append(NotMoved(kind=kind, name=name, why=why))

    @contextmanager
    def trying(self, kind: str, name: str) -> Iterator[None]:
        """What is refused is noted, and the import goes on with what follows."""
        try:
            yield
        except FATAL:
            raise
        except ModelogError as error:
            self.refuse(kind, name, str(error))

    def refused(self, kind: str) -> int:
        return sum(1 for each in self.not_moved if each.kind == kind)
