"""Versions made of others: an ensemble of members for the same rows, a chain of steps that feed each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from modelog.errors import Invalid
from modelog.types import ModelVersion, Signature

if TYPE_CHECKING:
    from modelog.client import Client

KINDS = ("ensemble", "chain")
MANIFEST = "members.json"


def compose(
    client: Client,
    model: str,
    kind: str,
    members: Sequence[Tuple[str, str, float]],
    *,
    combine: str = "mean",
    **registered: Any,
) -> ModelVersion:
    """Register a version of `model` that is an "ensemble" or a "chain" of (model, version, weight).

    Its file pins the members' files by their SHA-256: what becomes of the members' versions later changes nothing. An
    ensemble takes the `combine` of its members' answers, the weighted "mean" or for labels the "vote". In a chain each
    step takes columns of the request and of the answers before it, by name. Without `signature` an ensemble has that
    of its first member, a chain the first one's inputs and the last one's outputs. What else is given goes to
    `client.models.register`.
    """
    if kind not in KINDS:
        raise Invalid(f"kind: {kind!r} is none of {', '.join(KINDS)}")
    if not members:
        raise Invalid("members: at least one version is needed")
    found = [client.models.version(name, version) for name, version, _ in members]
    told = [_member(version, weight) for version, (_, _, weight) in zip(found, members)]
    manifest: Dict[str, Any] = {"members": told}
    if kind == "ensemble":
        manifest["combine"] = combine
    content = json.dumps(manifest, sort_keys=True).encode()
    signature = registered.pop("signature", None) or _signature(kind, found)
    artifact = client.artifacts.upload_bytes(content, MANIFEST)
    return client.models.register(model, artifact, flavor=kind, signature=signature, **registered)


def _member(version: ModelVersion, weight: float) -> Dict[str, Any]:
    if version.artifact is None or version.signature is None:
        raise Invalid(f"members: {version.model} {version.version} has no file or no signature, and cannot be one")
    signature = version.signature.to_dict()
    return {
        "model": version.model,
        "version": version.version,
        "digest": version.artifact.digest,
        "flavor": version.flavor,
        "signature": {side: signature.get(side, []) for side in ("inputs", "outputs")},
        "weight": float(weight),
    }


def _signature(kind: str, versions: List[ModelVersion]) -> Signature:
    first, last = (version.signature or Signature() for version in (versions[0], versions[-1]))
    return first if kind == "ensemble" else Signature(inputs=first.inputs, outputs=last.outputs)
