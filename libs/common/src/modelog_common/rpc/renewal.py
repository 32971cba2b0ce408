"""Certificates that were renewed while a process runs: new connections get what the files hold now."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

# They are renewed weeks before they end, and Kubernetes takes a minute to bring a new secret.
EVERY_S = 10.0
Mark = tuple[tuple[int, int, int] | None, ...]
log = structlog.get_logger()


class Renewals:
    """What is loaded again when its files change."""

    def __init__(self) -> None:
        self._followed: list[tuple[Changes, Callable[[], None]]] = []

    def follow(self, files: Sequence[Path], load: Callable[[], None]) -> None:
        """Call `load` whenever the files are others than now; what it raises of OSError leaves all as it was."""
        self._followed.append((Changes(files), load))

    def look(self) -> None:
        """Load again what has changed since the last look."""
        for changes, load in self._followed:
            if not changes.seen():
                continue
            try:
                load()
            except OSError as error:
                # Half of them may be written: once the rest is, they are others again.
                log.warning("renewed certificates cannot be used", files=changes.names, error=str(error))
            else:
                log.info("certificates were renewed", files=changes.names)

    async def run(self) -> None:
        """Look every ten seconds, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            self.look()


class Changes:
    """Tells when files are no longer what they were; Kubernetes' are links that are set to another folder."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._mark = self._now()

    @property
    def names(self) -> list[str]:
        return [str(file) for file in self._files]

    def seen(self) -> bool:
        """Whether a file was replaced, written or removed since the last call."""
        before, self._mark = self._mark, self._now()
        return before != self._mark

    def _now(self) -> Mark:
        return tuple(map(_mark_of, self._files))


def _mark_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def load_again(context: ssl.SSLContext, certificate: Path, key: Path, authority: Path | None) -> None:
    """Have a context show the certificate, and trust the authority beside those it trusted before.

    Raises OSError when they cannot be read or do not belong together: the context is as it was.
    """
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for each in (trial, context):
        if authority is not None:
            each.load_verify_locations(authority)
        each.load_cert_chain(certificate, key)
