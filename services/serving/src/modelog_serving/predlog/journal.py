"""Answers that are stored and not yet in the database: two files that take turns, written in the loop's own thread.

A frame is a number that rises by one, the size and the CRC-32 of what follows (`<QII`), and one `Answers` as
MessagePack. Whoever puts frames into the database writes down there, in the same transaction, the number of the last;
after a crash those above it are read again. A frame that was written to its end survives `kill -9` of the process, as
the pages of the file are the kernel's; a power failure may take the last ones, as it may the database's last commits.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from modelog_serving.engine.texts import OBJECT
from modelog_serving.predlog.answers import Answerer, Answers
from modelog_serving.predlog.journal_entry import Entry
from modelog_serving.predlog.rows import Repeated, RowIds

_HEAD: Final = struct.Struct("<QII")


class Journaled:
    """Answers in a frame; `answered_at_us` is when it was written."""

    __slots__ = ("answered_at_us", "answers", "number")

    def __init__(self, number: int, answers: Answers, answered_at_us: int) -> None:
        self.number, self.answers, self.answered_at_us = number, answers, answered_at_us


def fits(answers: Answers) -> bool:
    """Whether a frame holds all of it. Ids that callers chose are not for the journal: they must be looked for.

    Frames are of numbers: answers with texts, and to requests that name a subject, go into the log's file at once.
    """
    if answers.given_ids or answers.source or answers.watermark_us or answers.sealed:
        return False
    return answers.features.dtype != OBJECT and answers.outputs.dtype != OBJECT


class Journal:
    """The files `<path>.0` and `<path>.1`. What is in them at first is to be read before anything is appended."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when they cannot be used."""
        self.paths = tuple(path.with_name(f"{path.name}.{n}") for n in range(2))
        self._files = [os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for file in self.paths]
        self._ends, self._lasts = [0, 0], [0, 0]
        self._current = 0
        self.number = 0

    def read(self, after: int) -> list[Journaled]:
        """The frames with numbers above `after`, in order; then both files are empty, and numbers go on from there.

        Call `empty` when they are in the database: until then they are here.
        """
        found = sorted(
            (stored for file in self._files for stored in _frames(file, after)), key=lambda stored: stored.number
        )
        self.number = max(after, found[-1].number if found else 0)
        return found

    def empty(self) -> None:
        """Forget everything that is in the files."""
        for which, file in enumerate(self._files):
            os.ftruncate(file, 0)
            self._ends[which] = self._lasts[which] = 0

    def append(self, answers: Answers, answered_at_us: int) -> int:
        """Write a frame and return its size in bytes; raises OSError when it is not written, and counts for nothing."""
        body = msgspec.msgpack.encode(_entry(answers, answered_at_us))
        number, which = self.number + 1, self._current
        frame = _HEAD.pack(number, len(body), zlib.crc32(body, number & 0xFFFFFFFF)) + body
        written = os.pwrite(self._files[which], frame, self._ends[which])
        if written != len(frame):
            raise OSError(f"{self.paths[which]} took {written} of {len(frame)} bytes")
        self._ends[which] += written
        self._lasts[which] = self.number = number
        return written

    def turn(self) -> None:
        """What comes from now on goes into the other file, if that is empty."""
        if not self._ends[1 - self._current]:
            self._current = 1 - self._current

    def drop(self, until: int) -> None:
        """Empty the file that is not being appended to, if it has nothing above this number. Any thread may do it."""
        which = 1 - self._current
        if self._ends[which] and self._lasts[which] <= until:
            os.ftruncate(self._files[which], 0)
            self._ends[which] = 0

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop())


class Pending:
    """What is in the journal and not in the log's file: the frames in order, and their bytes."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.frames: list[Journaled] = []
        self.bytes = 0

    def take(self, answers: Answers, answered_at_us: int) -> None:
        """Write answers that `fits` down; raises OSError when that fails, and they are not pending then."""
        self.bytes += self.journal.append(answers, answered_at_us)
        self.frames.append(Journaled(self.journal.number, answers, answered_at_us))

    def cut(self) -> tuple[list[Journaled], int]:
        """All of it with its bytes; what comes from now on is apart, in the journal too."""
        frames, size = self.frames, self.bytes
        self.frames, self.bytes = [], 0
        if frames:
            self.journal.turn()
        return frames, size

    def put_back(self, frames: list[Journaled], size: int) -> None:
        """The file did not take them."""
        self.frames = frames + self.frames
        self.bytes += size


class NoJournal(Journal):
    """Of a log that another process writes: the journal is that process's, and is only looked at."""

    def __init__(self, path: Path) -> None:
        self.paths = tuple(path.with_name(f"{path.name}.{n}") for n in range(2))
        self._files, self.number = [], 0

    def waits(self, after: int) -> bool:
        """Whether there are answers in it that are not in the file, which has those up to this number."""
        for path in self.paths:
            if not path.exists():
                continue
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if any(True for _ in _frames(file, after)):
                    return True
            finally:
                os.close(file)
        return False


def _entry(answers: Answers, answered_at_us: int) -> Entry:
    features, outputs = answers.features, answers.outputs
    told, rows = _told(answers)
    return Entry(
        answers.tenant,
        answers.deployment,
        answers.model,
        *told,
        [(answerer.version, answerer.digest) for answerer in answers.answerers],
        answers.answered_by.tobytes(),
        answers.feature_names,
        (features.dtype.str, features.tobytes()),
        (outputs.dtype.str, outputs.tobytes()),
        answered_at_us,
        rows,
    )


def _told(answers: Answers) -> tuple[tuple[Sequence[str], Sequence[int], Sequence[str]], Sequence[int]]:
    """Ids, times and keys, and the rows of each request where they are told by requests."""
    ids, times, keys = answers.ids, answers.event_times_us, answers.keys
    if type(ids) is RowIds and type(times) is Repeated and times.rows == ids.rows:
        if not keys:
            return (ids.values, times.values, ()), ids.rows
        if type(keys) is Repeated and keys.rows == ids.rows:
            return (ids.values, times.values, keys.values), ids.rows
    return (list(ids), list(times), list(keys)), ()


def _frames(file: int, after: int) -> Iterator[Journaled]:
    """The whole frames of a file above a number; what was cut off, or is of before, ends them."""
    data, place, last = os.pread(file, os.fstat(file).st_size, 0), 0, 0
    while place + _HEAD.size <= len(data):
        number, size, crc = _HEAD.unpack_from(data, place)
        body = data[place + _HEAD.size : place + _HEAD.size + size]
        if number <= last or len(body) != size or zlib.crc32(body, number & 0xFFFFFFFF) != crc:
            return
        if number > after:
            yield _stored(number, body)
        place, last = place + _HEAD.size + size, number


def _stored(number: int, body: bytes) -> Journaled:
    entry = msgspec.msgpack.decode(body, type=Entry)
    ids, times, keys = entry.ids, entry.event_times_us, entry.keys
    if entry.rows:
        ids, times = RowIds(ids, entry.rows), Repeated(times, entry.rows)
        keys = Repeated(keys, entry.rows) if keys else ()
    rows = len(ids)
    features, outputs = (
        np.frombuffer(data, dtype).reshape(rows, -1) for dtype, data in (entry.features, entry.outputs)
    )
    answers = Answers(
        tenant=entry.tenant,
        deployment=entry.deployment,
        model=entry.model,
        ids=ids,
        event_times_us=times,
        keys=keys,
        answerers=[Answerer(*answerer) for answerer in entry.answerers],
        answered_by=np.frombuffer(entry.answered_by, np.uint8),
        feature_names=entry.feature_names,
        features=features,
        outputs=outputs,
        given_ids=False,
    )
    return Journaled(number, answers, entry.answered_at_us)
