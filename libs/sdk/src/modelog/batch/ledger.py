"""The ledger of a batch: which parts of its output are done. It lies with them, and is replaced as a whole."""

from __future__ import annotations

import hashlib
from typing import Dict, List

import msgspec

from modelog.batch.places import Folder, Part, Place
from modelog.errors import Invalid

LEDGER = "_batch.json"


class Batch(msgspec.Struct, frozen=True):
    """What a batch is: with the same of all of this the output is the same.

    source: as it was named. source_digest: SHA-256 of its rows' files. model and version: what answers, with the
    digest of its file where that is known. on_error: "fail", or "null" for rows without a prediction.
    """

    source: str
    source_digest: str
    model: str
    version: str
    rows: int
    rows_at_once: int
    query: str = ""
    model_digest: str = ""
    on_error: str = "fail"

    @property
    def parts(self) -> int:
        """How many there are; an input without rows has one, for its columns."""
        return max(1, -(-self.rows // self.rows_at_once))


class _Written(msgspec.Struct):
    batch: Batch
    complete: bool
    digest: str
    parts: List[Part]


class Ledger:
    """The ledger in a place. What it says is done was there, whole, before it said so."""

    def __init__(self, place: Place, batch: Batch, parts: Dict[int, Part]) -> None:
        self._place, self.batch, self._parts = place, batch, parts

    @classmethod
    def open(cls, place: Place, batch: Batch, title: str) -> Ledger:
        """A new one, or the one of this very batch. Parts that are gone, or altered, are not done.

        Raises Invalid, which names what differs, when the place is another batch's or somebody else's.
        """
        content = place.read(LEDGER)
        if content is None:
            taken = place.taken()
            if taken:
                raise Invalid(f"output: {place.address} holds {taken}, and is no batch's; name an empty or a new one")
            made = cls(place, batch, {})
            made._write(complete=False)
            return made
        try:
            before = msgspec.json.decode(content, type=_Written)
        except msgspec.MsgspecError as error:
            raise Invalid(f"output: {place.address} has a {LEDGER} that cannot be read: {error}") from None
        _check_same(before.batch, batch, place.address, title)
        if isinstance(place, Folder):
            place.clear_drafts()
        return cls(place, batch, {part.number: part for part in before.parts if place.holds(part)})

    @property
    def missing(self) -> List[int]:
        """The numbers of the parts that are to be made, in order."""
        return [number for number in range(self.batch.parts) if number not in self._parts]

    @property
    def rows(self) -> int:
        """That are done."""
        return sum(part.rows for part in self._parts.values())

    @property
    def errors(self) -> int:
        """Rows that are done and have no prediction."""
        return sum(part.errors for part in self._parts.values())

    @property
    def digest(self) -> str:
        """SHA-256 of the parts' digests, in order, each on a line."""
        lines = "".join(f"{self._parts[number].digest}\n" for number in sorted(self._parts))
        return hashlib.sha256(lines.encode()).hexdigest()

    def add(self, part: Part) -> None:
        """A part is there."""
        self._parts[part.number] = part
        self._write(complete=False)

    def finish(self) -> None:
        """All of them are."""
        if self.missing or self.rows != self.batch.rows:
            raise RuntimeError(f"{self.rows} of {self.batch.rows} rows are there; parts {self.missing[:5]} are missing")
        self._write(complete=True)

    def _write(self, *, complete: bool) -> None:
        parts = [self._parts[number] for number in sorted(self._parts)]
        written = _Written(self.batch, complete, self.digest if complete else "", parts)
        self._place.write(LEDGER, msgspec.json.format(msgspec.json.encode(written), indent=1))


def _check_same(before: Batch, now: Batch, address: str, title: str) -> None:
    if before.source_digest != now.source_digest:
        raise Invalid(
            f"input: {title} is not what it was when the batch in {address} began: its SHA-256 was "
            f"{before.source_digest}, and is {now.source_digest}; bring the old one back, or name another output"
        )
    for name in ("model", "version", "model_digest", "query", "rows_at_once", "on_error", "rows"):
        was, is_now = getattr(before, name), getattr(now, name)
        if was != is_now:
            raise Invalid(
                f"output: {address} is of a batch with another {name} ({was}, now {is_now}); "
                "finish that one, or delete it"
            )
