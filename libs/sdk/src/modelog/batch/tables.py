"""The rows of a batch's input: Parquet files that are read a slice at a time, with the digest of what they are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import msgspec

from modelog.api.datasets import digest_of
from modelog.batch.libraries import in_short, library
from modelog.errors import Invalid

CSV, PARQUET = ".csv", ".parquet"
ENDINGS = (CSV, PARQUET)
Stamp = Tuple[int, int, int]


class Input(msgspec.Struct, frozen=True):
    """Files that were found, all CSV or all Parquet, and the SHA-256 of their names and contents.

    `title` is what errors call it; `stamps` are the files' as they were when the digest was taken.
    """

    title: str
    files: List[str]
    digest: str
    stamps: List[Stamp]

    def check(self) -> None:
        """Raises Invalid, which names the file, when one was changed since its digest was taken."""
        for file, stamp in zip(self.files, self.stamps):
            if _stamp(Path(file)) != stamp:
                raise Invalid(f"input: {file} changed while it was read; the same batch cannot go on with it")


class Table(msgspec.Struct, frozen=True):
    """Rows in order. `digest` says what they are; what is `watched` must not change while they are read."""

    title: str
    files: List[str]
    digest: str
    rows: int
    columns: List[str]
    watched: List[Input] = []

    def slice(self, first: int, count: int) -> Any:
        """These rows as a data frame of polars; raises Invalid when the files are no longer what they were."""
        for each in self.watched:
            each.check()
        return library("polars").scan_parquet(self.files).slice(first, count).collect()


def input_of(title: str, files: Sequence[Path], names: Sequence[str] = ()) -> Input:
    """The digest of one file is its own; of several that of a list of digests and names."""
    kinds = sorted({file.suffix for file in files})
    if len(kinds) > 1:
        raise Invalid(f"input: {title} holds files of both kinds, {' and '.join(kinds)}; allowed: one of them")
    stamps = [_stamp(file) for file in files]
    digests = [digest_of(file) for file in files]
    digest = digests[0]
    if len(files) > 1:
        lines = "".join(f"{each}  {name}\n" for each, name in zip(digests, names or [f.name for f in files]))
        digest = hashlib.sha256(lines.encode()).hexdigest()
    found = Input(title, [str(file) for file in files], digest, stamps)
    found.check()
    return found


def table_of(found: Input, folder: Path) -> Table:
    """The rows of an input. CSV becomes Parquet in `folder` first; its columns stay the text that they are."""
    polars = library("polars")
    try:
        if found.files[0].endswith(CSV):
            staged = folder / "input.parquet"
            polars.scan_csv(found.files, infer_schema=False).sink_parquet(staged)
            found.check()
            return scanned(found.title, [str(staged)], found.digest)
        return scanned(found.title, found.files, found.digest, found)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise Invalid(f"input: {found.title} cannot be read: {in_short(error)}") from None


def scanned(title: str, files: List[str], digest: str, *watched: Input) -> Table:
    """Look at Parquet files: their columns, and how many rows there are."""
    polars = library("polars")
    frame = polars.scan_parquet(files)
    rows = int(frame.select(polars.len()).collect().item())
    return Table(title, files, digest, rows, frame.collect_schema().names(), list(watched))


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
