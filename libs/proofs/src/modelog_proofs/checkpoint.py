"""Checkpoints: the signed size and root of a log (C2SP tlog-checkpoint v1).

<origin: the log's name>
<number of events, decimal>
<root hash, base64>

— <key name> <signature>
"""

import re
from dataclasses import dataclass
from typing import Optional, Union

from .errors import InvalidNote
from .keys import PrivateKey, PublicKey, decode_base64, encode_base64, parse_public_key
from .merkle import HASH_BYTES
from .note import open_note, sign_note

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """What a log says of itself at one size: `root` is 32 bytes, `extensions` further lines, if any."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The note text, which is what is signed. Raises InvalidNote when a field cannot be written."""
        lines = [self.origin, str(self.size), encode_base64(self.root), *self.extensions]
        text = "".join(f"{line}\n" for line in lines)
        if parse_checkpoint(text) != self:
            raise InvalidNote("A field of the checkpoint holds a line break.")
        return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note text as a checkpoint, without its signature. Raises InvalidNote, which names the line."""
    if not text.endswith("\n"):
        raise InvalidNote("The checkpoint does not end in a newline.")
    lines = text[:-1].split("\n")
    if len(lines) < 3:
        raise InvalidNote(f"A checkpoint has 3 lines (origin, size, root), this one has {len(lines)}.")
    origin, size, root, *extensions = lines
    if not origin:
        raise InvalidNote("Line 1 of the checkpoint, the origin, is empty.")
    if not _SIZE.fullmatch(size):
        raise InvalidNote(f"Line 2 of the checkpoint, the size, must be a decimal number, not {size[:80]!r}.")
    try:
        root_hash = decode_base64(root)
    except ValueError as error:
        raise InvalidNote(f"Line 3 of the checkpoint, the root hash, is {error}.") from None
    if len(root_hash) != HASH_BYTES:
        raise InvalidNote(f"Line 3 of the checkpoint, the root hash, is {len(root_hash)} bytes, not {HASH_BYTES}.")
    if "" in extensions:
        raise InvalidNote(f"Line {extensions.index('') + 4} of the checkpoint is empty.")
    return Checkpoint(origin, int(size), root_hash, tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, key: PrivateKey) -> str:
    """The checkpoint as a signed note. Raises InvalidNote.

    A log must never sign two checkpoints of which neither extends the other: `verify_consistency` first.
    """
    return sign_note(checkpoint.text(), key)


def open_checkpoint(note: str, key: Union[PublicKey, str], origin: Optional[str] = None) -> Checkpoint:
    """The checkpoint in a signed note, after checking that `key` signed it for the log `origin`.

    `key` is a PublicKey or its text; `origin` defaults to the key's name. Raises InvalidKey or InvalidNote.
    """
    trusted = parse_public_key(key) if isinstance(key, str) else key
    checkpoint = parse_checkpoint(open_note(note, [trusted]).text)
    expected = trusted.name if origin is None else origin
    if checkpoint.origin != expected:
        raise InvalidNote(f"The checkpoint is of the log {checkpoint.origin!r}, not of {expected!r}.")
    return checkpoint
