"""A proof bundle: one event with all that is needed to show, offline, that a signed log holds it.

The bundle is a JSON object:

    format          "modelog.proof/1"
    event           the 13 fields of an EventRecord under their names; payload as the text of the stored bytes
    leaf_index      position - 1
    inclusion_path  the hashes of RFC 9162 section 2.1.3.1, leaf to root, base64
    checkpoint      the signed note over the size and the root of the tree that the path leads to
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Union

from .checkpoint import Checkpoint, open_checkpoint
from .errors import InvalidEvent, InvalidProof
from .keys import PublicKey, decode_base64, encode_base64
from .leaf import FIELDS, EventRecord, event_hash, leaf_index
from .merkle import verify_inclusion

FORMAT = "modelog.proof/1"
_PARTS = ("format", "event", "leaf_index", "inclusion_path", "checkpoint")


@dataclass(frozen=True)
class ProvenEvent:
    """An event that the log of `checkpoint` holds."""

    event: EventRecord
    checkpoint: Checkpoint


def make_bundle(event: EventRecord, inclusion_path: Sequence[bytes], checkpoint_text: str) -> dict[str, object]:
    """The proof bundle of an event as JSON values; it is not checked here.

    Raises InvalidEvent when the event cannot be a leaf, or its payload is not UTF-8, which JSON always is.
    """
    event_hash(event)
    try:
        payload = event.payload.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidEvent("payload is not UTF-8 text") from None
    return {
        "format": FORMAT,
        "event": {**asdict(event), "payload": payload},
        "leaf_index": leaf_index(event.position),
        "inclusion_path": [encode_base64(sibling) for sibling in inclusion_path],
        "checkpoint": checkpoint_text,
    }


def verify_bundle(bundle: Union[str, bytes, Mapping[str, object]], public_key: Union[PublicKey, str]) -> ProvenEvent:
    """Check a bundle, given as JSON text or values, against the log's public key; returns what it proves.

    Raises InvalidProof, InvalidEvent, InvalidNote or InvalidKey (all ProofsError), with a plain sentence.
    """
    parts = _parts(bundle)
    event = _event(parts["event"])
    leaf_hash = event_hash(event)
    index, path, note = parts["leaf_index"], parts["inclusion_path"], parts["checkpoint"]
    if type(index) is not int:
        raise InvalidProof(f"leaf_index must be an integer, it is {index!r:.80}.")
    if not isinstance(note, str):
        raise InvalidProof("checkpoint must be the text of a signed note.")
    if index != leaf_index(event.position):
        raise InvalidProof(
            f"leaf_index is {index}, but the event at position {event.position} is leaf {event.position - 1}."
        )
    checkpoint = open_checkpoint(note, public_key)
    verify_inclusion(leaf_hash, index, checkpoint.size, sibling_hashes(path), checkpoint.root)
    return ProvenEvent(event, checkpoint)


def _parts(bundle: Union[str, bytes, Mapping[str, object]]) -> Mapping[str, object]:
    if isinstance(bundle, (str, bytes)):
        try:
            bundle = json.loads(bundle)
        except (ValueError, RecursionError) as error:
            raise InvalidProof(f"The proof bundle is not JSON: {error}.") from None
    if not isinstance(bundle, Mapping):
        raise InvalidProof("The proof bundle must be a JSON object.")
    require_names("The proof bundle", bundle, _PARTS)
    if bundle["format"] != FORMAT:
        raise InvalidProof(f"format must be {FORMAT!r}, it is {bundle['format']!r:.80}.")
    return bundle


def _event(values: object) -> EventRecord:
    if not isinstance(values, Mapping):
        raise InvalidProof("event must be a JSON object.")
    require_names("event", values, [name for name, _ in FIELDS])
    payload = values["payload"]
    if not isinstance(payload, str):
        raise InvalidProof("payload must be text.")
    try:
        return EventRecord(**{**values, "payload": payload.encode()})
    except UnicodeEncodeError:
        raise InvalidProof("payload is not valid UTF-8 text.") from None


def require_names(what: str, values: Mapping[str, object], names: Sequence[str]) -> None:
    """Raises InvalidProof unless an object has these members and no others."""
    missing = [name for name in names if name not in values]
    unknown = [name for name in values if name not in names]
    if missing:
        raise InvalidProof(f"{what} has no {', '.join(missing)}.")
    if unknown:
        raise InvalidProof(f"{what} holds the unknown {', '.join(map(str, unknown))!s:.80}, which nothing vouches for.")


def sibling_hashes(path: object, name: str = "inclusion_path") -> list[bytes]:
    """The hashes of an inclusion path, or of another list; raises InvalidProof, which names the one that is none."""
    if not isinstance(path, Sequence) or isinstance(path, (str, bytes)):
        raise InvalidProof(f"{name} must be a list of base64 texts.")
    return [_sibling(f"{name}[{i}]", value) for i, value in enumerate(path)]


def _sibling(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise InvalidProof(f"{name} must be base64 text.")
    try:
        return decode_base64(value)
    except ValueError as error:
        raise InvalidProof(f"{name} is {error}.") from None
