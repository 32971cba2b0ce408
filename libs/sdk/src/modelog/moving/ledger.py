"""What was moved, what was here already, and what was not moved and why."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from threading import Lock
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
    # More than one where they are only told together.
    count: int = 1


class Count(Record):
    moved: int = 0
    known: int = 0


class Ledger:
    """The count of an import, kept by all its threads; `tell` is called with each new step, for people who wait."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self.counts: Dict[str, Count] = {kind: Count() for kind in KINDS}
        self.not_moved: List[NotMoved] = []
        self.tell = tell
        self._lock = Lock()

    def moved(self, kind: str, count: int = 1) -> None:
        with self._lock:
            self.counts[kind].moved += count

    def known(self, kind: str, count: int = 1) -> None:
        with self._lock:
            self.counts[kind].known += count

    def refuse(self, kind: str, name: str, why: str, count: int = 1) -> None:
        self.not_moved.append(NotMoved(kind=kind, name=name, why=why, count=count))

    def counting(self, what: str, of: int) -> Callable[[], None]:
        """Tells at each call how many of them have begun."""
        begun = count(1)
        return lambda: self.tell(f"{what} {next(begun)} of {of}")

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
        return sum(each.count for each in self.not_moved if each.kind == kind)
