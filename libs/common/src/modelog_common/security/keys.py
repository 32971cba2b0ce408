"""Ed25519 keys in PEM files: made once, the private one readable by its owner only."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from modelog_common.domain.errors import AlreadyExists, Invalid

OWNER_ONLY = 0o600
OTHERS = 0o007


def create_key_pair(private_file: Path, public_file: Path) -> Ed25519PrivateKey:
    """Make a key pair and write both halves; raises AlreadyExists rather than write over a private key."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(private_file, private)
    public_file.parent.mkdir(parents=True, exist_ok=True)
    public_file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return key


def write_secret(file: Path, content: bytes) -> None:
    """Write a new file that only its owner can read, from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError as error:
        raise AlreadyExists(f"{file} exists and is not written over") from error
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)


def load_private_key(file: Path) -> Ed25519PrivateKey:
    """Read a private key; raises Invalid when it is missing, not one, or readable by everybody."""
    content = _read(file)
    if file.stat().st_mode & OTHERS:
        raise Invalid(f"the private key {file} can be read or changed by every user; run: chmod 600 {file}")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(f"{file} holds no private key; expected an unencrypted Ed25519 key in PEM form") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(f"{file} holds a private key of another kind; expected Ed25519")
    return key


def load_public_key(file: Path) -> Ed25519PublicKey:
    """Read a public key; raises Invalid when it is missing or not one."""
    try:
        key = load_pem_public_key(_read(file))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"{file} holds no public key; expected an Ed25519 key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid(f"{file} holds a public key of another kind; expected Ed25519")
    return key


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"the key file {file} cannot be read: {error.strerror}") from error
