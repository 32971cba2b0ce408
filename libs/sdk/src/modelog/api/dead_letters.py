"""Messages that a consumer could not handle."""

from __future__ import annotations

from typing import Dict, List

from modelog.transport import Transport
from modelog.types import DeadLetter, Record


class _Found(Record):
    letters: List[DeadLetter] = []
    unanswered: Dict[str, str] = {}


class DeadLetters:
    """The tenant's dead letters, of all services.

    >>> client.dead_letters.replay("lineage-7d793037a0760186").state  # doctest: +SKIP
    'replayed'
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.unanswered: Dict[str, str] = {}

    def list(self, *, limit: int = 100, replayed: bool = False) -> List[DeadLetter]:
        """Oldest first, `limit` of each service at most; those that were replayed only when asked for.

        Afterwards `unanswered` says which services did not answer, and why.
        """
        flag = "true" if replayed else None
        found = self._transport.get("/api/v1/dead-letters", _Found, limit=limit, replayed=flag)
        self.unanswered = found.unanswered
        return found.letters

    def get(self, letter_id: str) -> DeadLetter:
        """One, with the message: `value` and `headers`."""
        return self._transport.get(f"/api/v1/dead-letters/{letter_id}", DeadLetter)

    def replay(self, letter_id: str) -> DeadLetter:
        """Give the message back to the consumer that refused it.

        Its `state` says what came of it: "replayed" when it was handled, "dead" when it was refused again, "asked" when
        the consumer has not come to it yet. Raises NotAllowed when it was replayed before.
        """
        self._transport.present("a replay")
        return self._transport.post(f"/api/v1/dead-letters/{letter_id}/replay", DeadLetter, {}, repeatable=True)
