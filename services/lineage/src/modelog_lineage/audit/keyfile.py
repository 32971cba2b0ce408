"""The log's signing key: one file that only the service reads, made at the first start."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from modelog_common.domain.errors import NotAllowed
from modelog_common.security.keys import write_secret
from modelog_proofs import PrivateKey, ProofsError, generate_key, parse_private_key

ORIGIN = "modelog"
OTHERS = 0o077


class UnusableKey(NotAllowed):
    """The key file cannot be used; the text says why and what to do."""


def load_or_make(file: Path) -> PrivateKey:
    """The key in `file`; a new one, named modelog/<8 hexadecimal digits>, when there is no file.

    Raises UnusableKey when the file is not a key, or others may read it.
    """
    try:
        if not file.exists():
            _make(file)
        if file.stat().st_mode & OTHERS:
            raise UnusableKey(f"the audit key {file} can be read by other users; run: chmod 600 {file}")
        return parse_private_key(file.read_text("ascii"))
    except (OSError, UnicodeDecodeError, ProofsError) as error:
        raise UnusableKey(f"the audit key {file} cannot be used: {error}") from error


def _make(file: Path) -> None:
    """Write the whole file beside its place and then move it there: a killed process leaves no half key."""
    key = generate_key(f"{ORIGIN}/{secrets.token_hex(4)}")
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    write_secret(draft, f"{key.text()}\n".encode("ascii"))
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    draft.rename(file)
