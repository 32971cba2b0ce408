"""Sealing with AES-256-GCM: a text under its subject's key, and that key under the master key."""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.padding import PKCS7

from modelog_common.domain.sealed import Sealed

KEY_BYTES = 32
NONCE_BYTES = 12
# Texts are padded to a multiple of this, so that what stays after an erasure hardly tells how long a name was.
BLOCK_BITS = 256
_PURPOSE = b"modelog: sealed text 1"


class Altered(Exception):
    """A ciphertext is not what was sealed with this key for this place."""


def new_key() -> bytes:
    """256 random bits."""
    return secrets.token_bytes(KEY_BYTES)


def seal_text(key: bytes, key_id: str, field: str, text: str) -> Sealed:
    """Seal a text for a field of the key's subject.

    The nonce is an HMAC of field and text under a key of its own: as unique as a random one where it matters (other
    texts get other nonces), and the same text gives the same value.
    """
    encryption, naming = _halves(key)
    padder = PKCS7(BLOCK_BITS).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    place = _place(key_id, field)
    mac = hmac.HMAC(naming, hashes.SHA256())
    mac.update(len(place).to_bytes(4, "big") + place + padded)
    nonce = mac.finalize()[:NONCE_BYTES]
    return Sealed(key_id, _text_of(nonce), _text_of(AESGCM(encryption).encrypt(nonce, padded, place)))


def open_text(key: bytes, field: str, sealed: Sealed) -> str:
    """The text; raises Altered when it was not sealed with this key, or for another field or subject."""
    encryption, _ = _halves(key)
    try:
        nonce, ciphertext = (base64.b64decode(t, validate=True) for t in (sealed.nonce, sealed.ciphertext))
        padded = AESGCM(encryption).decrypt(nonce, ciphertext, _place(sealed.key, field))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise Altered(f"what is stored for {field} was not sealed with the key {sealed.key} for this field") from error
    unpadder = PKCS7(BLOCK_BITS).unpadder()
    return (unpadder.update(padded) + unpadder.finalize()).decode()


def wrap_key(master: bytes, key_id: str, key: bytes) -> bytes:
    """A data key under a master key, bound to its id."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(master).encrypt(nonce, key, key_id.encode())


def unwrap_key(master: bytes, key_id: str, wrapped: bytes) -> bytes:
    """The data key; raises Altered when it was not wrapped with this master key under this id."""
    try:
        return AESGCM(master).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], key_id.encode())
    except (InvalidTag, ValueError) as error:
        raise Altered(f"the stored key {key_id} was not wrapped with this master key") from error


def _halves(key: bytes) -> tuple[bytes, bytes]:
    """One key for encrypting and one for nonces: a key serves one purpose."""
    both = HKDFExpand(hashes.SHA256(), 2 * KEY_BYTES, _PURPOSE).derive(key)
    return both[:KEY_BYTES], both[KEY_BYTES:]


def _place(key_id: str, field: str) -> bytes:
    """What a ciphertext is bound to: it opens under no other subject's name and in no other field."""
    return f"{key_id}\x1f{field}".encode()


def _text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
