"""Models made of others: an ensemble, whose members answer the same rows, and a chain, whose steps feed each other.

Their file names versions by the SHA-256 of their files, with all that is needed to load them; whoever approves it
approves those files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from modelog_common.domain.errors import NotAllowed
from numpy.typing import NDArray

from modelog_serving.deployment.signature import TEXT, Signature, unservable
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.engine.texts import OBJECT

ENSEMBLE, CHAIN = "ensemble", "chain"
MOST_MEMBERS = 64


class Member(msgspec.Struct, frozen=True):
    """A version that answers; `weight` is for ensembles."""

    model: str
    version: str
    digest: str
    flavor: str
    signature: Signature
    weight: float = 1.0

    @property
    def title(self) -> str:
        """As it is called in texts."""
        return f"{self.model} {self.version}"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of an ensemble or a chain. `combine` is for ensembles: the mean of numbers, or the vote for labels."""

    members: tuple[Member, ...]
    combine: Literal["mean", "vote"] = "mean"


@dataclass(frozen=True)
class Part:
    """A loaded member, and where in what is there already its columns are; None for all of it, as it is."""

    model: Model
    columns: NDArray[np.intp] | None
    takes_texts: bool = False

    def predict(self, known: Matrix) -> Matrix:
        taken: Matrix = known if self.columns is None else np.ascontiguousarray(known[:, self.columns])
        if taken.dtype == OBJECT and not self.takes_texts:
            # Numbers that stood beside texts.
            taken = taken.astype(np.float64)
        return self.model.predict(taken)


@dataclass(frozen=True)
class Ensemble:
    """`weights` add up to 1. With `votes` the label of the greatest weight answers, of equals the smallest."""

    parts: Sequence[Part]
    weights: Sequence[float]
    votes: bool
    batcher: Batcher | None

    def predict(self, rows: Matrix) -> Matrix:
        answers = [part.predict(rows) for part in self.parts]
        if not self.votes:
            mean = np.zeros(answers[0].shape)
            for answer, weight in zip(answers, self.weights, strict=True):
                mean += answer * weight
            return mean
        labels = np.unique(np.stack(answers))
        votes = np.zeros((len(rows), len(labels)))
        for answer, weight in zip(answers, self.weights, strict=True):
            votes += (answer == labels) * weight
        # Weights are added up in another order for each label: what differs by that only is equal.
        winner = np.argmax(votes >= votes.max(axis=1, keepdims=True) - 1e-12, axis=1)
        chosen: Matrix = labels[winner].reshape(-1, 1)
        return chosen


@dataclass(frozen=True)
class Chain:
    """Each step takes columns of the request and of the answers before it, by name; the last one's answer is the
    chain's."""

    parts: Sequence[Part]
    batcher: Batcher | None

    def predict(self, rows: Matrix) -> Matrix:
        known = rows
        answer = rows
        for part in self.parts:
            answer = part.predict(known)
            known = np.concatenate([known, answer], axis=1)
        return answer


def members_of(model: Model) -> list[Model]:
    """Those of an ensemble or a chain; a model of another kind is its own only one."""
    return [part.model for part in model.parts] if isinstance(model, Ensemble | Chain) else [model]


def manifest_of(content: bytes) -> Manifest:
    """Raises NotAllowed when the file is none."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise NotAllowed(f"the model file does not name the members of an ensemble or chain: {error}") from error
    if not 1 <= len(manifest.members) <= MOST_MEMBERS:
        raise NotAllowed(f"the model file names {len(manifest.members)} members; 1 to {MOST_MEMBERS} are allowed")
    for member in manifest.members:
        problem = unservable(member.signature)
        if member.flavor in (ENSEMBLE, CHAIN):
            problem = f"it is a {member.flavor} itself"
        if not (member.weight > 0 and np.isfinite(member.weight)):
            problem = f"its weight is {member.weight}; it must be greater than 0"
        if problem:
            raise NotAllowed(f"the model file names {member.title}, which cannot be a member: {problem}")
    return manifest


def composed(flavor: str, manifest: Manifest, signature: Signature, models: Sequence[Model]) -> Model:
    """Put the loaded members together; raises NotAllowed when they do not fit together, or not the signature."""
    # One of its members may hang: then the others' requests must not wait with it.
    own = Batcher(1) if any(getattr(model, "batcher", None) is not None for model in models) else None
    if flavor == CHAIN:
        return Chain(_steps(manifest, signature, models), own)
    known = signature.features
    parts = [_part(member, model, known) for member, model in zip(manifest.members, models, strict=True)]
    for member in manifest.members:
        _check_width(member, signature)
        whole = [spec for spec in member.signature.outputs if not spec.datatype.startswith("FP")]
        if manifest.combine == "vote" and (signature.output_width != 1 or not whole):
            raise NotAllowed(f"the model file has {member.title} vote, which does not answer with one label")
        if manifest.combine == "mean" and whole:
            raise NotAllowed(f"the model file takes the mean of the labels {whole[0].name!r} of {member.title}")
    total = sum(member.weight for member in manifest.members)
    return Ensemble(parts, [member.weight / total for member in manifest.members], manifest.combine == "vote", own)


def _steps(manifest: Manifest, signature: Signature, models: Sequence[Model]) -> list[Part]:
    known, parts = signature.features, list[Part]()
    for member, model in zip(manifest.members, models, strict=True):
        parts.append(_part(member, model, known))
        known = (*known, *Signature(member.signature.outputs).features)
    _check_width(manifest.members[-1], signature)
    return parts


def _part(member: Member, model: Model, known: Sequence[str]) -> Part:
    texts = any(spec.datatype == TEXT for spec in member.signature.inputs)
    return Part(model, _columns(member, known), texts)


def _columns(member: Member, known: Sequence[str]) -> NDArray[np.intp] | None:
    """Where a member's columns are; of the same name the last one, which is the nearest step's."""
    places = {name: n for n, name in enumerate(known)}
    missing = [name for name in member.signature.features if name not in places]
    if missing:
        raise NotAllowed(
            f"the model file names {member.title}, which takes {missing[0]!r}: there are {', '.join(known[:20])}"
        )
    wanted = [places[name] for name in member.signature.features]
    return None if wanted == list(range(len(known))) else np.array(wanted, np.intp)


def _check_width(member: Member, signature: Signature) -> None:
    if member.signature.output_width != signature.output_width:
        raise NotAllowed(
            f"the model file names {member.title}, which answers with {member.signature.output_width} numbers; "
            f"the signature says {signature.output_width}"
        )
    if _texts(member.signature) != _texts(signature):
        raise NotAllowed(
            f"the model file names {member.title}, which answers with texts where the signature has none, "
            "or with numbers where it has texts"
        )


def _texts(signature: Signature) -> list[bool]:
    return [spec.datatype == TEXT for spec in signature.outputs for _ in range(spec.width)]
