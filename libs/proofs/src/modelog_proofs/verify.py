"""Checking a whole store against a signed checkpoint: is this still the log that was signed?"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional, Union

from .checkpoint import Checkpoint, open_checkpoint
from .errors import InvalidEvent, ProofsError, UnreadableStore
from .export import ExportFile
from .keys import PublicKey, encode_base64
from .leaf import EventRecord, event_hash
from .merkle import HASH_BYTES, Frontier
from .store import EventStoreFile

EXPORT_SUFFIXES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class Report:
    """What the verification of one store found. `ok` is True exactly when `failures` is empty.

    Roots are base64. `first_gap` is the first position that no event has although a later one exists, and
    `first_altered` the first whose event is not the one that was signed (None when that cannot be told).
    """

    store: str
    origin: Optional[str]
    signed_size: Optional[int]
    signed_root: Optional[str]
    computed_root: Optional[str]
    events_read: int
    last_position: int
    positions_dense: bool
    first_gap: Optional[int]
    first_altered: Optional[int]
    failures: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the store holds exactly the events that were signed, in their order."""
        return not self.failures

    @property
    def unsigned_events(self) -> int:
        """How many events came after the checkpoint, and are therefore not vouched for by it."""
        return max(0, self.last_position - (self.signed_size or 0)) if self.positions_dense else 0

    def as_dict(self) -> dict[str, object]:
        """The report as JSON values."""
        return {
            "ok": self.ok,
            **asdict(self),
            "failures": list(self.failures),
            "unsigned_events": self.unsigned_events,
        }

    def text(self) -> str:
        """The report as lines to read, without a final newline."""
        lines = [f"store       {self.store}"]
        if self.origin is not None:
            lines += [
                f"log         {self.origin}",
                f"signed      {self.signed_size} events, root {self.signed_root}",
                f"computed    root {self.computed_root or 'not known'}",
            ]
        lines.append(f"read        {self.events_read} events")
        if self.positions_dense and self.last_position:
            lines.append(f"positions   1 to {self.last_position}, none missing")
        if self.ok and self.unsigned_events:
            lines.append(f"not covered {self.unsigned_events} events, recorded after the checkpoint")
        lines.append("VERIFIED: the events are those that were signed." if self.ok else "FAILED")
        return "\n".join([*lines, *(f"- {failure}" for failure in self.failures)])


def verify_store(
    path: Union[str, Path],
    checkpoint_text: str,
    public_key: Union[PublicKey, str],
    leaf_hashes: Optional[Iterable[bytes]] = None,
) -> Report:
    """Recompute the root of a store file, or of an export, and compare it with the one that was signed.

    `leaf_hashes`, 32 bytes each for positions 1, 2, 3 ..., are those kept when the events were recorded: with
    them the report names the first altered event. They are used only if they lead to the signed root. Whatever
    is wrong with the store, the checkpoint or the key is a failure in the report, never an exception.
    """
    try:
        audit = Audit(open_checkpoint(checkpoint_text, public_key), leaf_hashes)
    except ProofsError as error:
        return _no_checkpoint(str(path), error)
    try:
        with open_events(path) as store:
            for record in store.events():
                audit.add(record)
            audit.damage = store.damage()
    except UnreadableStore as error:
        audit.unreadable = error
    return audit.report(str(path))


def open_events(path: Union[str, Path]) -> Union[EventStoreFile, ExportFile]:
    """The reader of a file of events, by its name: an export, or else an SQLite store."""
    return ExportFile(path) if str(path).endswith(EXPORT_SUFFIXES) else EventStoreFile(path)


def _no_checkpoint(store: str, error: ProofsError) -> Report:
    failure = f"The checkpoint is not valid: {error}"
    return Report(store, None, None, None, None, 0, 0, False, None, None, (failure,))


class Audit:
    """The state of one verification while the events pass by, whatever they are read from.

    Add every event in order, then ask for the report. What cannot be read further is told as `unreadable`.
    """

    def __init__(self, checkpoint: Checkpoint, leaf_hashes: Optional[Iterable[bytes]]) -> None:
        self.checkpoint = checkpoint
        self.kept = None if leaf_hashes is None else _KeptHashes(leaf_hashes, checkpoint)
        self.frontier = Frontier()
        self.signed_part: Optional[bytes] = self.frontier.root() if checkpoint.size == 0 else None
        self.events_read = 0
        self.last_position = 0
        self.first_gap: Optional[int] = None
        self.first_difference: Optional[int] = None
        self.unreadable: Optional[UnreadableStore] = None
        self.damage: list[str] = []

    def add(self, record: EventRecord) -> None:
        """The next event. Raises UnreadableStore when it cannot be one."""
        try:
            leaf_hash = event_hash(record)
        except InvalidEvent as error:
            raise UnreadableStore(
                f"The event at position {record.position} was altered: {error}.", record.position
            ) from None
        if self.first_gap is None and record.position != self.last_position + 1:
            self.first_gap = self.last_position + 1
        if self.first_gap is None:
            self.frontier.append(leaf_hash)
            if self.frontier.size == self.checkpoint.size:
                self.signed_part = self.frontier.root()
        if self.kept is not None and self.first_difference is None and self.kept.differs(record.position, leaf_hash):
            self.first_difference = record.position
        self.events_read += 1
        self.last_position = record.position

    def report(self, store: str) -> Report:
        """What was found; `store` is how the report names what was read."""
        kept_failure = self.kept.failure() if self.kept is not None else None
        altered = self.first_difference if kept_failure is None else None
        if self.unreadable is not None and self.unreadable.position is not None:
            altered = self.unreadable.position if altered is None else altered
        return Report(
            store=store,
            origin=self.checkpoint.origin,
            signed_size=self.checkpoint.size,
            signed_root=encode_base64(self.checkpoint.root),
            computed_root=encode_base64(self.signed_part) if self.signed_part is not None else None,
            events_read=self.events_read,
            last_position=self.last_position,
            positions_dense=self.first_gap is None and self.unreadable is None,
            first_gap=self.first_gap,
            first_altered=altered,
            failures=tuple(self._failures(altered, kept_failure)),
        )

    def _failures(self, altered: Optional[int], kept_failure: Optional[str]) -> Iterator[str]:
        size = self.checkpoint.size
        if self.unreadable is not None:
            yield str(self.unreadable)
        if self.first_gap is not None:
            yield f"The event at position {self.first_gap} is missing: a later one exists."
        elif self.unreadable is None and self.last_position < size:
            yield (
                f"The log ends at position {self.last_position}, but {size} events were signed: "
                f"the last {size - self.last_position} are missing."
            )
        if self.signed_part is not None and self.signed_part != self.checkpoint.root:
            yield (
                f"The events at positions 1 to {size} do not give the signed root: "
                "at least one was altered, replaced or moved, or this is a fork of the log that was signed."
            )
        if kept_failure is not None:
            yield kept_failure
        elif altered is not None and altered == self.first_difference:
            yield f"The event at position {altered} is the first that differs from the one that was recorded."
        if self.damage:
            yield f"SQLite finds the file damaged: {'; '.join(self.damage)}."


class _KeptHashes:
    """Leaf hashes from elsewhere, compared by position and themselves checked against the signed root."""

    def __init__(self, leaf_hashes: Iterable[bytes], checkpoint: Checkpoint) -> None:
        self._hashes = iter(leaf_hashes)
        self._checkpoint = checkpoint
        self._frontier = Frontier()
        self._signed_part = self._frontier.root() if checkpoint.size == 0 else None
        self._malformed: Optional[int] = None
        self._ended = False
        self._current = b""

    def differs(self, position: int, leaf_hash: bytes) -> bool:
        """Whether another hash was kept for `position`; positions must be asked for in rising order."""
        while self._frontier.size < position and self._advance():
            pass
        return self._frontier.size == position and self._current != leaf_hash

    def failure(self) -> Optional[str]:
        """Why the kept hashes cannot be relied on, or None."""
        size = self._checkpoint.size
        while self._frontier.size < size and self._advance():
            pass
        if self._malformed is not None:
            return f"The kept leaf hash of position {self._malformed} is not {HASH_BYTES} bytes."
        if self._frontier.size < size:
            return f"Only {self._frontier.size} leaf hashes were kept for {size} signed events: too few to check."
        if self._signed_part != self._checkpoint.root:
            return "The kept leaf hashes do not give the signed root: they cannot say which event was altered."
        return None

    def _advance(self) -> bool:
        leaf_hash = None if self._ended else next(self._hashes, None)
        if leaf_hash is None:
            self._ended = True
            return False
        if not isinstance(leaf_hash, bytes) or len(leaf_hash) != HASH_BYTES:
            self._malformed, self._ended = self._frontier.size + 1, True
            return False
        self._frontier.append(leaf_hash)
        self._current = leaf_hash
        if self._frontier.size == self._checkpoint.size:
            self._signed_part = self._frontier.root()
        return True
