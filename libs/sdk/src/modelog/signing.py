"""Sign a model version: one signature over its files, its card and bill of materials, and the proofs of its approvals.

The signature is made and checked by model-signing (OpenSSF), with a key pair on an elliptic curve, offline. What it
covers is a folder:

    model/...             the version's files
    card.json             the model card, in the bytes that its digest is of
    bom.json              the bill of materials
    approvals/7.json      the proof that the approval at position 7 is in the log (modelog_proofs checks it)
    statement.json        which version this is, and the SHA-256 of every other file
    signature.json        the signature over all of these
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

import msgspec

from modelog.api.datasets import digest_of
from modelog.errors import Invalid, NotAllowed
from modelog.types import Artifact, ModelFact

if TYPE_CHECKING:
    from modelog.client import Client

FORMAT = "modelog.signed/1"
MODEL, CARD, BOM, STATEMENT, SIGNATURE = "model", "card.json", "bom.json", "statement.json", "signature.json"
APPROVALS = "approvals"
APPROVAL_EVENTS = ("registry.VersionReviewed", "registry.ChangeReviewed")


class Approval(msgspec.Struct):
    """An approval that is bound: where it stands in the log, and who gave it."""

    position: int
    by: str
    approval_id: str


class Statement(msgspec.Struct):
    """What is signed, in words; `files` is path to SHA-256, `log_key` the public key that checks the proofs."""

    format: str
    model: str
    version: str
    position: int
    files: Dict[str, str]
    approvals: List[Approval]
    log_key: str
    # Stays when the model gets another name; empty in statements of before models could.
    model_id: str = ""


def gather(client: Client, model: str, version: str, folder: Path) -> Statement:
    """Write all that is to be signed into an empty folder. Raises NotAllowed when nobody approved the version."""
    if folder.exists() and any(folder.iterdir()):
        raise Invalid(f"{folder} is not empty; a signature covers all that is in it")
    found = client.models.version(model, version)
    approvals = _approvals(client.models.history(model, version))
    if not approvals:
        raise NotAllowed(f"{model} {version} has no approval that a signature could bind; sign it when it has one")
    card, bom = client.cards.get(model, version), client.cards.bom(model, version)
    client.models.download_files(model, version, folder / MODEL)
    _write(folder / CARD, canonical(card.card))
    _write(folder / BOM, bom.json.encode())
    for approval in approvals:
        _write(folder / APPROVALS / f"{approval.position}.json", client.audit.proof(approval.position).encode())
    files = {path: digest_of(folder / path) for path in _files(folder)}
    log_key = client.audit.checkpoint().public_key
    position, model_id = max(found.position, card.position), client.models.get(model).id
    statement = Statement(FORMAT, model, version, position, files, approvals, log_key, model_id)
    _write(folder / STATEMENT, canonical(msgspec.to_builtins(statement)))
    return statement


def sign(folder: Path, private_key: Path, password: Optional[str] = None) -> Path:
    """Sign everything in the folder with a PEM key (P-256, P-384 or P-521); returns the signature's path."""
    signing = _model_signing("signing")
    config = signing.Config().set_hashing_config(_hashing())
    try:
        config.use_elliptic_key_signer(private_key=private_key, password=password)
    except (OSError, ValueError, TypeError) as trouble:
        raise Invalid(f"{private_key} is no private key on an elliptic curve that can be used: {trouble}") from None
    config.sign(folder, folder / SIGNATURE)
    return folder / SIGNATURE


def verify(folder: Path, public_key: Path, log_key: str = "") -> Statement:
    """Check a signed folder, offline; `log_key` is the log's public key where it is known from elsewhere.

    Raises Invalid, which says what is wrong: a byte that is another, of the files, the card, the bill of materials or a
    proof; a file more or less; another key; an approval that the log does not hold.
    """
    verifying = _model_signing("verifying")
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (OSError, ValueError) as trouble:
        raise Invalid(f"{public_key} is no public key on an elliptic curve: {trouble}") from None
    try:
        config.verify(folder, folder / SIGNATURE)
    except Exception as trouble:  # whatever is wrong with a signature, it is not good
        raise Invalid(f"the signature does not hold: {str(trouble) or type(trouble).__name__}") from None
    try:
        statement = msgspec.json.decode((folder / STATEMENT).read_bytes(), type=Statement)
    except (OSError, msgspec.DecodeError) as trouble:
        raise Invalid(f"{STATEMENT}: {trouble}") from None
    _check_statement(folder, statement)
    for approval in statement.approvals:
        _check_approval(folder, statement, approval, log_key or statement.log_key)
    return statement


def fingerprint(public_key: Path) -> str:
    """SHA-256 of a public key as PEM, by which a signature names it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(Path(public_key).read_bytes())
    except (OSError, ValueError) as trouble:
        raise Invalid(f"{public_key} is no public key: {trouble}") from None
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def key_of(signature: Path) -> str:
    """The fingerprint of the key that made a signature."""
    bundle = json.loads(signature.read_bytes())
    return str(bundle["verificationMaterial"]["publicKey"]["hint"])


def signed_beside(folder: Path) -> List[str]:
    """The paths that were signed beside the version's own files."""
    return [path for path in _files(folder) if not path.startswith(f"{MODEL}/") and path != SIGNATURE]


def canonical(plain: Any) -> bytes:
    """JSON with sorted keys and no white space."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _approvals(facts: List[ModelFact]) -> List[Approval]:
    """Those since the last rejection of the version, of itself or of a change request."""
    found: List[Approval] = []
    for fact in facts:
        if fact.decision == "REVIEW_DECISION_REJECTED":
            found = []
        elif fact.approval_id and fact.kind in ("FACT_KIND_VERSION_REVIEWED", "FACT_KIND_CHANGE_REVIEWED"):
            found.append(Approval(fact.position, fact.by, fact.approval_id))
    return found


def _check_statement(folder: Path, statement: Statement) -> None:
    if statement.format != FORMAT:
        raise Invalid(f"{STATEMENT}: format is {statement.format!r}, not {FORMAT!r}")
    there = {path: digest_of(folder / path) for path in _files(folder) if path not in (STATEMENT, SIGNATURE)}
    if there != statement.files:
        other = sorted({*there.items()} ^ {*statement.files.items()})[0][0]
        raise Invalid(f"{other} is not what {STATEMENT} says")
    if not statement.approvals:
        raise Invalid(f"{STATEMENT} binds no approval")


def _check_approval(folder: Path, statement: Statement, approval: Approval, log_key: str) -> None:
    from modelog_proofs import ProofsError, verify_bundle

    path = f"{APPROVALS}/{approval.position}.json"
    try:
        event = verify_bundle((folder / path).read_bytes(), log_key).event
    except (OSError, ProofsError) as trouble:
        raise Invalid(f"{path}: {trouble}") from None
    told = json.loads(event.payload)
    named, model = ("model_id", statement.model_id) if statement.model_id else ("model", statement.model)
    said = (told.get(named), told.get("version"), told.get("decision"), told.get("approval_id"), event.position)
    wanted = (model, statement.version, "approved", approval.approval_id, approval.position)
    if event.type not in APPROVAL_EVENTS or said != wanted or event.actor != approval.by:
        raise Invalid(f"{path} proves no approval of {statement.model} {statement.version} by {approval.by}")


def _files(folder: Path) -> List[str]:
    return sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def artifacts(folder: Path, paths: List[str]) -> List[Artifact]:
    """Files of the folder as the registry names them."""
    return [
        Artifact(path=path, digest=digest_of(folder / path), size_bytes=(folder / path).stat().st_size)
        for path in paths
    ]


def _hashing() -> Any:
    """All files but the signature itself, those of git too."""
    hashing = _model_signing("hashing")
    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _model_signing(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"model_signing.{module}")
    except ImportError as missing:
        raise Invalid(f"signatures need modelog[sign] ({missing.name} is not installed)") from None
