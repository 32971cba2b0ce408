"""What serving made of model files, in files beside them: made by one process, and mapped by all.

Each is named by the model's SHA-256 and by what made it, so other code, or another version of a library, makes another.
Nothing but the model's file is needed to make them again.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import structlog
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_common.stores.disk import discard, keep, new_file, remove_abandoned, sync_folder

from modelog_serving.runtimes.made_file import Damaged, MadeFile, opened

SUFFIX = ".made"
# So long a process waits for another that makes the same; a trial, which gets the processor last, is not waited for.
PATIENCE_S, LOOK_S = 10.0, 0.02
log = structlog.get_logger()


class Beside:
    """Of the model files in a folder by digests. With `anew` nothing that was made before is believed."""

    def __init__(self, folder: Path, *, anew: bool = False) -> None:
        self._files, self.folder, self.anew = FolderBlobStore(folder), folder, anew

    def path(self, digest: str, made_by: str) -> Path:
        """The file that `made_by` makes of a model's."""
        return self._files.path(digest).with_name(f"{digest}.{made_by}{SUFFIX}")

    def find(self, digest: str, made_by: str) -> MadeFile | None:
        """What was made before; None where nothing was, or it was damaged."""
        path = self.path(digest, made_by)
        if self.anew:
            return None
        try:
            return opened(path)
        except FileNotFoundError:
            return None
        except (Damaged, OSError, ValueError) as error:
            log.warning("what was made of a model's file is made again", file=str(path), why=str(error))
            return None

    def keep(self, digest: str, made_by: str, write: Callable[[BinaryIO], None]) -> None:
        """Have a file written, and give it its name when it is whole and on the disk. What another version made of the
        same model goes. Where that cannot be the log says so, and each process makes it for itself.
        """
        path = self.path(digest, made_by)
        try:
            file = new_file(self.folder)
            try:
                write(file)
                keep(file, path)
            finally:
                discard(file)
            sync_folder(path.parent)
        except OSError as error:
            log.warning("what was made of a model's file is not kept", file=str(path), why=str(error))
            return
        for other in path.parent.glob(f"{digest}.*{SUFFIX}"):
            if other != path:
                other.unlink(missing_ok=True)

    @contextmanager
    def turn(self, digest: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Make something of a file while others that want to wait, for `patience_s` at most."""
        with ExitStack() as held:
            with suppress(OSError):
                file = held.enter_context(self._files.path(digest).open("rb"))
                until_s = time.monotonic() + patience_s
                while not _locked(file) and time.monotonic() < until_s:
                    time.sleep(LOOK_S)
            yield

    def content(self, digest: str) -> bytes:
        """The model's file, for who needs more than was made of it; raises Unavailable."""
        path = self._files.path(digest)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Unavailable(f"the model's file {path} cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise Unavailable(f"the model's file {path} was damaged since the model was loaded; load the model again")
        return content

    def sweep(self) -> int:
        """Remove what was made of files that are there no more, and what killed processes were making; returns how many
        files."""
        removed = remove_abandoned(self.folder)
        for path in self.folder.glob(f"??/??/*{SUFFIX}"):
            if not path.with_name(path.name.partition(".")[0]).exists():
                path.unlink(missing_ok=True)
                removed += 1
        return removed


def _locked(file: BinaryIO) -> bool:
    """Whether this process has the file; also where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def named_by(*what: str) -> str:
    """A short name for what makes a file: versions, and the code itself."""
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:16]
