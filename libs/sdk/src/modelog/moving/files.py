"""Files of a run, a logged model or an experiment: from the server's proxy into the platform's store."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import modelog
from modelog.api.datasets import digest_of
from modelog.errors import Invalid
from modelog.moving.crew import FILES, Crew
from modelog.moving.ledger import Ledger
from modelog.moving.source import NotServed, Source
from modelog.types import Artifact

# So many files are told at once: what was told is not fetched again when an import goes on.
TOGETHER = 20
Add = Callable[[List[Artifact]], object]
Listed = Iterable[Tuple[str, int]]


@dataclass(frozen=True)
class Carrier:
    """Moves files, several at a time.

    The server tells of a file its path and size only. With `compare`, one of the same size is fetched, too, and is
    moved when its SHA-256 is another one.
    """

    source: Source
    client: modelog.Client
    crew: Crew
    ledger: Ledger
    compare: bool = False

    def move(self, listed: Listed, root: str, here: Sequence[Artifact], add: Add, owner: str) -> None:
        """Move what is not here as it is there."""
        known = {file.path: file for file in here}
        waiting: List[Tuple[str, int]] = []
        try:
            for path, size in listed:
                before = known.get(path)
                if before is not None and before.size_bytes == size and not self.compare:
                    self.ledger.known("artifacts")
                    continue
                waiting.append((path, size))
                if len(waiting) == TOGETHER:
                    self._move(waiting, root, known, add, owner)
        except NotServed as error:
            self.ledger.refuse("artifacts", owner, str(error))
        self._move(waiting, root, known, add, owner)

    def _move(
        self, waiting: List[Tuple[str, int]], root: str, known: Dict[str, Artifact], add: Add, owner: str
    ) -> None:
        stored: List[Artifact] = []

        def one(file: Tuple[str, int]) -> None:
            path, size = file
            self.ledger.tell(f"{owner}: {path} ({size:,} bytes)")
            with self.ledger.trying("artifacts", f"{owner}: {path}"):
                found = self._stored(root, path, known.get(path))
                stored.extend([found] if found is not None else [])

        self.crew.each(FILES, one, waiting)
        waiting.clear()
        self._tell(stored, add, owner)

    def _stored(self, root: str, path: str, before: Optional[Artifact]) -> Optional[Artifact]:
        """The file in the platform's store; None when it is the one that is here already."""
        with tempfile.TemporaryDirectory(prefix="modelog-import-") as folder:
            file = Path(folder) / "file"
            self.source.download(root, path, file)
            if before is not None and before.digest == digest_of(file):
                self.ledger.known("artifacts")
                return None
            return self.client.artifacts.upload(file, path)

    def _tell(self, files: List[Artifact], add: Add, owner: str) -> None:
        """All at once or, when one of them is refused, one by one."""
        try:
            if files:
                add(files)
                self.ledger.moved("artifacts", len(files))
        except Invalid:
            for file in files:
                with self.ledger.trying("artifacts", f"{owner}: {file.path}"):
                    add([file])
                    self.ledger.moved("artifacts")
