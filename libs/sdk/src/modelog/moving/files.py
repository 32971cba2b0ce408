"""Files of a run or a logged model: from the server's proxy into the platform's store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Callable, List, Sequence

import modelog
from modelog.errors import Invalid
from modelog.moving.ledger import Ledger
from modelog.moving.source import NotServed, Source
from modelog.types import Artifact

# So many files are told at once: what was told is not fetched again when an import goes on.
TOGETHER = 20
Add = Callable[[List[Artifact]], object]


def move_files(
    source: Source, client: modelog.Client, root: str, here: Sequence[Artifact], add: Add, owner: str, ledger: Ledger
) -> None:
    """Move what is not here yet; a file of the same path and size is."""
    known = {(file.path, file.size_bytes) for file in here}
    waiting: List[Artifact] = []
    try:
        for path, size in source.files(root):
            if (path, size) in known:
                ledger.known("artifacts")
                continue
            ledger.tell(f"{owner}: {path} ({size:,} bytes)")
            with ledger.trying("artifacts", f"{owner}: {path}"):
                waiting.append(_moved(source, client, root, path))
            if len(waiting) >= TOGETHER:
                _tell(waiting, add, owner, ledger)
    except NotServed as error:
        ledger.refuse("artifacts", owner, str(error))
    _tell(waiting, add, owner, ledger)


def _moved(source: Source, client: modelog.Client, root: str, path: str) -> Artifact:
    with tempfile.TemporaryDirectory(prefix="modelog-import-") as folder:
        file = Path(folder) / "file"
        source.download(root, path, file)
        return client.artifacts.upload(file, path)


def _tell(files: List[Artifact], add: Add, owner: str, ledger: Ledger) -> None:
    """All at once or, when one of them is refused, one by one."""
    try:
        if files:
            add(files)
            ledger.moved("artifacts", len(files))
    except Invalid:
        for file in files:
            with ledger.trying("artifacts", f"{owner}: {file.path}"):
                add([file])
                ledger.moved("artifacts")
    files.clear()
