"""Signatures that bind a version's files, card and approvals: checked offline, and refused when one byte is another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import modelog
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from modelog import signing
from modelog.errors import Invalid, NotAllowed
from modelog.types import Signature, TensorSpec
from typer.testing import Result

SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP32")], outputs=[TensorSpec(name="y", datatype="FP32")])
NAME = "signed"


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key on P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return key_pair(tmp_path_factory.mktemp("keys"), "signer")


@pytest.fixture(scope="module")
def folder(platform: object, keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """signed 1.0.0, made by alice, approved by bob, and signed."""
    folder = tmp_path_factory.mktemp("signed") / "signed-1.0.0"
    with platform.client("alice") as alice, platform.client("bob") as bob:  # type: ignore[attr-defined]
        alice.models.create(NAME)
        files = [alice.artifacts.upload_bytes(text, path) for path, text in ((".gitignore", b"x"), ("a/model", b"m"))]
        alice.models.register(NAME, files[1], artifacts=files, flavor="xgboost", signature=SIGNATURE)
        with pytest.raises(NotAllowed, match="signed 1.0.0 has no approval that a signature could bind"):
            signing.gather(alice, NAME, "1.0.0", folder)
        bob.models.approve(NAME, "1.0.0", "good")
        bob.models.reject(NAME, "1.0.0", "no")
        with pytest.raises(NotAllowed, match="no approval"):
            signing.gather(alice, NAME, "1.0.0", folder)
        bob.models.approve(NAME, "1.0.0", "after all")
        signing.gather(alice, NAME, "1.0.0", folder)
        signing.sign(folder, keys[0])
        alice.signatures.add(NAME, "1.0.0", folder)
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same, to be tampered with."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_what_was_signed_is_verified_offline(copy: Path, keys: tuple[Path, Path]) -> None:
    statement = signing.verify(copy, keys[1])
    assert (statement.model, statement.version) == (NAME, "1.0.0")
    assert [approval.by for approval in statement.approvals] == ["bob"]
    assert {path.partition("/")[0] for path in statement.files} == {"model", "card.json", "bom.json", "approvals"}


def test_one_byte_of_any_of_it_is_found_out(copy: Path, keys: tuple[Path, Path]) -> None:
    paths = [path for path in copy.rglob("*") if path.is_file()]
    assert len(paths) == 7
    for path in paths:
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            changed = bytearray(whole)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(Invalid):
                signing.verify(copy, keys[1])
        path.write_bytes(whole)
    signing.verify(copy, keys[1])


def test_a_file_more_or_less_is_found_out(copy: Path, keys: tuple[Path, Path]) -> None:
    for more in (copy / "model" / "more", copy / ".gitattributes", copy / "approvals" / "9.json"):
        more.write_text("x")
        with pytest.raises(Invalid, match="does not hold|is not what statement.json says"):
            signing.verify(copy, keys[1])
        more.unlink()
    (copy / "bom.json").unlink()
    with pytest.raises(Invalid, match="does not hold"):
        signing.verify(copy, keys[1])


def test_another_key_checks_nothing(copy: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    other = key_pair(tmp_path, "other")
    with pytest.raises(Invalid, match="does not hold: Key mismatch"):
        signing.verify(copy, other[1])
    with pytest.raises(Invalid, match="is no public key"):
        signing.verify(copy, copy / "card.json")
    with pytest.raises(Invalid, match="is no private key"):
        signing.sign(copy, copy / "card.json")


def test_whoever_signs_cannot_make_an_approval_up(copy: Path, keys: tuple[Path, Path]) -> None:
    """The signer's key is good and the signature too: it is the log that does not say what the statement says."""
    statement = json.loads((copy / "statement.json").read_text())
    for change, said in (
        ({"version": "2.0.0"}, "proves no approval of signed 2.0.0 by bob"),
        ({"approvals": [{**statement["approvals"][0], "by": "carol"}]}, "proves no approval of signed 1.0.0 by carol"),
        ({"approvals": []}, "binds no approval"),
        ({"files": {}}, "is not what statement.json says"),
        ({"format": "x"}, "format is 'x'"),
    ):
        (copy / "signature.json").unlink()
        (copy / "statement.json").write_bytes(signing.canonical({**statement, **change}))
        signing.sign(copy, keys[0])
        with pytest.raises(Invalid, match=said):
            signing.verify(copy, keys[1])
    (copy / "signature.json").unlink()
    (copy / "statement.json").write_bytes(signing.canonical(statement))
    signing.sign(copy, keys[0])
    with pytest.raises(Invalid, match=r"approvals/[0-9]+\.json"):
        signing.verify(copy, keys[1], "other+aabbccdd+AAAA")


def test_from_the_command_line(
    run_as: Callable[..., Result], folder: Path, keys: tuple[Path, Path], tmp_path: Path, bob: modelog.Client
) -> None:
    told = run_as("bob", "model", "verify", NAME, "1.0.0", "--key", keys[1]).output
    assert "VERIFIED: signed 1.0.0, approved by bob (position" in told
    run_as("alice", "audit", "checkpoint", "--key-out", tmp_path / "log.pub")
    offline = ("model", "verify", "--folder", folder, "--key", keys[1], "--log-key", tmp_path / "log.pub")
    assert "VERIFIED" in run_as("bob", *offline).output
    other = key_pair(tmp_path, "other")
    run_as("alice", "model", "sign", NAME, "1.0.0", "--key", other[0], "--out", tmp_path / "again")
    assert (
        "is not empty"
        in run_as(
            "alice", "model", "sign", NAME, "1.0.0", "--key", other[0], "--out", tmp_path / "again", status=1
        ).stderr
    )
    assert {s.key for s in bob.signatures.list(NAME, "1.0.0")} == {signing.fingerprint(k) for k in (keys[1], other[1])}
    third = key_pair(tmp_path, "third")
    refused = run_as("bob", "model", "verify", NAME, "1.0.0", "--key", third[1], status=1).stderr
    assert "has no signature with the key" in refused
    assert (
        "give a model and a version, or --folder" in run_as("bob", "model", "verify", "--key", keys[1], status=1).stderr
    )
    assert "signed" in run_as("bob", "model", "history", NAME, "1.0.0").output


def test_a_signature_holds_when_its_model_gets_another_name(
    run_as: Callable[..., Result], keys: tuple[Path, Path], alice: modelog.Client, bob: modelog.Client, tmp_path: Path
) -> None:
    """One of before the rename, and one of after it that binds an approval of before."""
    file = alice.artifacts.upload_bytes(b"m", "model")
    alice.models.create("signed-once")
    alice.models.register("signed-once", file, flavor="xgboost", signature=SIGNATURE)
    bob.models.approve("signed-once", "1.0.0", "good")
    run_as("alice", "model", "sign", "signed-once", "1.0.0", "--key", keys[0], "--out", tmp_path / "before")
    alice.models.rename("signed-once", "signed-now")
    told = run_as("bob", "model", "verify", "signed-now", "1.0.0", "--key", keys[1]).output
    assert "VERIFIED: signed-once 1.0.0, approved by bob" in told
    signing.gather(alice, "signed-now", "1.0.0", tmp_path / "after")
    signing.sign(tmp_path / "after", keys[0])
    statement = signing.verify(tmp_path / "after", keys[1])
    assert (statement.model, [a.by for a in statement.approvals]) == ("signed-now", ["bob"])
