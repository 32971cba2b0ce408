"""Signed notes: readable text with Ed25519 signatures under it (C2SP signed-note v1).

text, one or more lines, each ending in a newline
<empty line>
— <key name> base64(4-byte key id || 64-byte signature over the text)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import InvalidKey, InvalidNote
from .keys import KEY_ID_BYTES, PrivateKey, PublicKey, check_key_name, decode_base64, encode_base64

MAX_NOTE_CHARACTERS = 1_000_000
MAX_SIGNATURES = 100
_DASH = "— "


@dataclass(frozen=True)
class Signature:
    """One signature line: who says to have signed, with which key, and the signature's bytes."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """The parts of a signed note; `text` ends in a newline. Trust it only when `open_note` returned it."""

    text: str
    signatures: tuple[Signature, ...]


def sign_note(text: str, *keys: PrivateKey) -> str:
    """The signed note over `text`. Raises InvalidNote when the text cannot be a note's."""
    _check_characters(text)
    if not text.endswith("\n"):
        raise InvalidNote("The text of a note must end in a newline.")
    if not keys:
        raise InvalidNote("A note needs at least one signature.")
    lines = [f"{_DASH}{key.name} {encode_base64(key.public_key.key_id + key.sign(text.encode()))}\n" for key in keys]
    return text + "\n" + "".join(lines)


def parse_note(note: str) -> Note:
    """Split a signed note into its parts without checking a signature. Raises InvalidNote."""
    _check_characters(note)
    end = note.rfind("\n\n")
    if end < 0:
        raise InvalidNote("The note has no empty line between its text and its signatures.")
    if not note.endswith("\n"):
        raise InvalidNote("The note does not end in a newline: its end is missing.")
    text, tail = note[: end + 1], note[end + 2 :]
    lines = tail.split("\n")[:-1]
    if not lines:
        raise InvalidNote("The note has no signature.")
    if len(lines) > MAX_SIGNATURES:
        raise InvalidNote(f"The note has {len(lines)} signatures; at most {MAX_SIGNATURES} are allowed.")
    first_line = text.count("\n") + 2
    return Note(text, tuple(_parse_signature(line, first_line + i) for i, line in enumerate(lines)))


def open_note(note: str, keys: Sequence[PublicKey]) -> Note:
    """Parse a note and check it: at least one of `keys` signed it, and no signature by any of them is wrong.

    Signatures by other keys are ignored, as the specification asks. Raises InvalidNote.
    """
    parsed = parse_note(note)
    trusted = {(key.name, key.key_id): key for key in keys}
    checked = 0
    for signature in parsed.signatures:
        key = trusted.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.verifies(signature.signature, parsed.text.encode()):
            raise InvalidNote(f"The signature by {key.name} does not match the text: the note was altered.")
        checked += 1
    if not checked:
        signers = ", ".join(f"{signature.name}+{signature.key_id.hex()}" for signature in parsed.signatures)
        wanted = ", ".join(f"{key.name}+{key.key_id.hex()}" for key in keys)
        raise InvalidNote(f"The note is signed by {signers}, not by the trusted {wanted}.")
    return parsed


def _parse_signature(line: str, number: int) -> Signature:
    where = f"Line {number} of the note"
    if not line.startswith(_DASH):
        raise InvalidNote(f"{where} is not a signature: it must start with an em dash and a space.")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space:
        raise InvalidNote(f"{where} is not a signature: it must hold a key name, a space and base64.")
    try:
        check_key_name(name)
    except InvalidKey as error:
        raise InvalidNote(f"{where} is not a signature: {error}") from None
    try:
        value = decode_base64(encoded)
    except ValueError as error:
        raise InvalidNote(f"{where} is not a signature: {error}.") from None
    if len(value) <= KEY_ID_BYTES:
        raise InvalidNote(f"{where} is not a signature: it holds {len(value)} bytes, and needs more than 4.")
    return Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])


def _check_characters(text: str) -> None:
    if len(text) > MAX_NOTE_CHARACTERS:
        raise InvalidNote(f"The note has {len(text)} characters; at most {MAX_NOTE_CHARACTERS} are allowed.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidNote("The note is not valid UTF-8.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        control = next((character for character in line if character < " "), None)
        if control is not None:
            raise InvalidNote(f"Line {number} of the note holds the control character U+{ord(control):04X}.")
