"""Key files: secret from the first byte, never written over, refused when they are something else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from modelog_common.domain.errors import AlreadyExists, Invalid
from modelog_common.security.keys import create_key_pair, load_private_key, load_public_key, write_secret


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    private, public = tmp_path / "keys" / "signing.pem", tmp_path / "keys" / "public.pem"
    create_key_pair(private, public)
    return private, public


def test_the_two_files_are_one_pair(pair: tuple[Path, Path]) -> None:
    private, public = load_private_key(pair[0]), load_public_key(pair[1])
    public.verify(private.sign(b"text"), b"text")


def test_only_the_owner_can_read_the_private_key(pair: tuple[Path, Path]) -> None:
    assert stat.S_IMODE(pair[0].stat().st_mode) == 0o600


def test_a_private_key_is_never_written_over(pair: tuple[Path, Path]) -> None:
    before = pair[0].read_bytes()
    with pytest.raises(AlreadyExists, match=r"signing\.pem exists and is not written over"):
        create_key_pair(*pair)
    assert pair[0].read_bytes() == before
    load_public_key(pair[1]).verify(load_private_key(pair[0]).sign(b""), b"")


def test_a_private_key_that_everybody_can_read_is_refused(pair: tuple[Path, Path]) -> None:
    pair[0].chmod(0o644)
    with pytest.raises(Invalid, match=r"can be read or changed by every user; run: chmod 600 .*signing\.pem"):
        load_private_key(pair[0])


def test_the_halves_are_not_taken_for_each_other(pair: tuple[Path, Path]) -> None:
    pair[1].chmod(0o600)
    with pytest.raises(Invalid, match=r"public\.pem holds no private key; expected an unencrypted Ed25519 key in PEM"):
        load_private_key(pair[1])
    with pytest.raises(Invalid, match=r"signing\.pem holds no public key; expected an Ed25519 key in PEM"):
        load_public_key(pair[0])


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    write_secret(tmp_path / "a", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_secret(tmp_path / "b", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(Invalid, match="private key of another kind; expected Ed25519"):
        load_private_key(tmp_path / "a")
    with pytest.raises(Invalid, match="public key of another kind; expected Ed25519"):
        load_public_key(tmp_path / "b")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"the key file .*/none cannot be read: No such file or directory"):
        load_private_key(tmp_path / "none")
