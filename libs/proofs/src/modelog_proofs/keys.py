"""Ed25519 keys in the textual form of signed notes (C2SP signed-note; golang.org/x/mod/sumdb/note).

A public key is one line, `name+id+base64(0x01 || 32 bytes)`; a private key is one too,
`PRIVATE+KEY+name+id+base64(0x01 || 32-byte seed)`.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import InvalidKey

ED25519 = b"\x01"
KEY_BYTES = 32
KEY_ID_BYTES = 4
_PRIVATE_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True)
class PublicKey:
    """A named key that checks signatures."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        _check_key_bytes("public key", self.public)

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x01 || public key), the first 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        """The line to publish; `parse_public_key` reads it."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(ED25519 + self.public)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (64 bytes) over `message` was made by this key's owner."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """A named key that signs. Its text is a secret: keep it in a file that only the signer reads."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_key_name(self.name)
        _check_key_bytes("private key", self.seed)

    @property
    def public_key(self) -> PublicKey:
        """The key that checks what this one signs."""
        return PublicKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def text(self) -> str:
        """The secret line to keep; `parse_private_key` reads it."""
        encoded = encode_base64(ED25519 + self.seed)
        return f"{_PRIVATE_PREFIX}{self.name}+{self.public_key.key_id.hex()}+{encoded}"

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature over `message`, 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def generate_key(name: str) -> PrivateKey:
    """A new key from the system's randomness; `name` should be the log's origin. Raises InvalidKey."""
    return PrivateKey(name, Ed25519PrivateKey.generate().private_bytes_raw())


def parse_public_key(text: str) -> PublicKey:
    """Read `name+id+base64`; surrounding white space is ignored. Raises InvalidKey."""
    if text.strip().startswith(_PRIVATE_PREFIX):
        raise InvalidKey("This is a private key where a public key is needed: do not pass it around.")
    name, key_id, public = _parse("public key", text.strip())
    key = PublicKey(name, public)
    _check_id("public key", key, key_id)
    return key


def parse_private_key(text: str) -> PrivateKey:
    """Read `PRIVATE+KEY+name+id+base64`; surrounding white space is ignored. Raises InvalidKey."""
    stripped = text.strip()
    if not stripped.startswith(_PRIVATE_PREFIX):
        raise InvalidKey(f"A private key starts with {_PRIVATE_PREFIX}, this text does not.")
    name, key_id, seed = _parse("private key", stripped[len(_PRIVATE_PREFIX) :])
    key = PrivateKey(name, seed)
    _check_id("private key", key.public_key, key_id)
    return key


def check_key_name(name: str) -> None:
    """Raise InvalidKey unless `name` is non-empty and has no white space, control character or plus sign."""
    if not name or any(character.isspace() or character < " " or character == "+" for character in name):
        raise InvalidKey(f"A key name must not be empty or hold white space, control characters or '+': {name!r}.")


def encode_base64(value: bytes) -> str:
    """Standard base64 (RFC 4648 section 4)."""
    return base64.b64encode(value).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Standard base64, canonical form only, so that no two texts mean the same bytes. Raises ValueError."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError(f"not standard base64: {text[:80]!r}") from None
    if encode_base64(value) != text:
        raise ValueError(f"not canonical base64: {text[:80]!r}")
    return value


def _parse(what: str, text: str) -> tuple[str, bytes, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise InvalidKey(f"A {what} has the form name+id+base64, this text has {len(parts)} part(s).")
    name, id_text, encoded = parts
    if len(id_text) != 2 * KEY_ID_BYTES or any(digit not in "0123456789abcdef" for digit in id_text):
        raise InvalidKey(f"The id of a {what} is 8 lower-case hexadecimal digits, not {id_text[:80]!r}.")
    try:
        value = decode_base64(encoded)
    except ValueError:
        raise InvalidKey(f"The last part of the {what} is not standard base64.") from None
    if value[:1] != ED25519:
        raise InvalidKey(f"The {what} is not Ed25519: its type byte is {value[:1].hex() or 'missing'}, not 01.")
    return name, bytes.fromhex(id_text), value[1:]


def _check_key_bytes(what: str, value: bytes) -> None:
    if len(value) != KEY_BYTES:
        raise InvalidKey(f"An Ed25519 {what} is {KEY_BYTES} bytes, not {len(value)}.")


def _check_id(what: str, key: PublicKey, key_id: bytes) -> None:
    if key.key_id != key_id:
        raise InvalidKey(f"The id {key_id.hex()} does not belong to this {what} of {key.name}: the text was altered.")
