"""The proof of a prediction: from the answer to the model file, its data, its run and its approvals, in one document.

The document is a JSON object in one spelling only: `canonical` of its values. Its members:

    format      "modelog.prediction-proof/1"; of an answer with texts "modelog.prediction-proof/2"; of one by a state to
                which a version came by learning "modelog.prediction-proof/3"; of any answer whose leaf is several
                answers (`prediction_group`) "modelog.prediction-proof/4"
    prediction  the fields of a PredictionRecord; a number that JSON has not is "NaN", "Infinity" or "-Infinity"
    segment     leaf_index and inclusion_path of the prediction in its segment, as in a proof bundle; of
                "modelog.prediction-proof/4" also row, its place among the answers of the leaf, from 0, and row_hashes,
                the hashes of the others in their order, base64
    sealed      proof bundle of the event serving.PredictionsSealed, which holds the segment's Merkle root
    version     proof bundle of the event registry.VersionRegistered; where no version answered, and the prediction
                names "default" as its version, of the event serving.ResilienceSet that set that default answer
    steps       of "modelog.prediction-proof/3" and 4: proof bundles of the events serving.ModelLearned, in order, from
                the version's own file to the state that answered; of 3 at least one, of 4 none where its own file did
    approvals   proof bundles of the approvals of that version, at least none
    run         proof bundles of the event registry.RunStarted, none when the version names no run
    datasets    proof bundles of registry.DatasetVersionRegistered, one for each dataset version that the version, or
                its run, was trained on
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from .errors import InvalidEvent, InvalidProof
from .keys import PublicKey, encode_base64
from .leaf import EventRecord
from .merkle import verify_inclusion
from .prediction import FIELDS_WITH_TEXTS, PREDICTION_FIELDS, PredictionRecord, prediction_hash
from .prediction_group import InGroup, leaf_among
from .proof import require_names, sibling_hashes, verify_bundle
from .proven_prediction import DEFAULT, ProvenPrediction

PREDICTION_FORMAT = "modelog.prediction-proof/1"
TEXTS_FORMAT = "modelog.prediction-proof/2"
LEARNED_FORMAT = "modelog.prediction-proof/3"
GROUP_FORMAT = "modelog.prediction-proof/4"
FORMATS = (PREDICTION_FORMAT, TEXTS_FORMAT, LEARNED_FORMAT, GROUP_FORMAT)
WITH_STEPS, MAY_HAVE_TEXTS = (LEARNED_FORMAT, GROUP_FORMAT), (TEXTS_FORMAT, GROUP_FORMAT)
# By these bytes a file is known as such a document.
PREDICTION_START = b'{"format":"modelog.prediction-proof/'
SEALED = "serving.PredictionsSealed"
REGISTERED = "registry.VersionRegistered"
LEARNED = "serving.ModelLearned"
DEFAULT_SET = "serving.ResilienceSet"
REVIEWED = ("registry.VersionReviewed", "registry.ChangeReviewed")
STARTED = "registry.RunStarted"
DATASET = "registry.DatasetVersionRegistered"
TUPLES = frozenset(("feature_names", "features", "outputs", "feature_texts", "output_texts"))
_PARTS = ("format", "prediction", "segment", "sealed", "version", "approvals", "run", "datasets")
_LEARNED_PARTS = (*_PARTS[:5], "steps", *_PARTS[5:])
_PLACE = ("leaf_index", "inclusion_path")
_PLACE_IN_GROUP = (*_PLACE, "row", "row_hashes")
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def canonical(document: Mapping[str, object]) -> str:
    """The one spelling of a document."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical_list(values: Sequence[object]) -> str:
    """The one spelling of a list, over which a default answer's digest goes: [[name, [value, ...]], ...]."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def make_prediction_proof(
    prediction: PredictionRecord,
    leaf_index: int,
    inclusion_path: Sequence[bytes],
    *,
    sealed: Mapping[str, object],
    version: Mapping[str, object],
    approvals: Sequence[Mapping[str, object]],
    run: Sequence[Mapping[str, object]],
    datasets: Sequence[Mapping[str, object]],
    steps: Sequence[Mapping[str, object]] = (),
    group: Optional[InGroup] = None,
) -> str:
    """The document; it is not checked here. `steps` are of an answer by a state that a version came to by learning.

    `group` is None for the segments of before, in which each answer is a leaf.
    """
    form = TEXTS_FORMAT if prediction.has_texts else LEARNED_FORMAT if steps else PREDICTION_FORMAT
    place: dict[str, object] = {
        "leaf_index": leaf_index, "inclusion_path": [encode_base64(part) for part in inclusion_path],
    }  # fmt: skip
    if group is not None:
        form = GROUP_FORMAT
        place = {**place, "row": group.row, "row_hashes": [encode_base64(part) for part in group.row_hashes]}
    names = FIELDS_WITH_TEXTS if form in MAY_HAVE_TEXTS else PREDICTION_FIELDS
    values = {name: getattr(prediction, name) for name in names}
    for name in TUPLES.intersection(names):
        values[name] = list(values[name])
    for name in ("features", "outputs"):
        values[name] = [_word(value) for value in values[name]]
    learned = {"steps": list(steps)} if form in WITH_STEPS else {}
    return canonical({
        "format": form,
        "prediction": values,
        "segment": place,
        "sealed": sealed,
        "version": version,
        **learned,
        "approvals": list(approvals),
        "run": list(run),
        "datasets": list(datasets),
    })  # fmt: skip


def verify_prediction(document: Union[str, bytes], public_key: Union[PublicKey, str]) -> ProvenPrediction:
    """Check a document against the log's public key alone; returns what it proves.

    Raises InvalidProof, InvalidEvent, InvalidNote or InvalidKey (all ProofsError), with a plain sentence.
    """
    parts = _parts(document)
    prediction = _prediction(parts["prediction"], parts["format"])
    sealed = verify_bundle(_object("sealed", parts["sealed"]), public_key)
    _check_segment(prediction, parts["segment"], sealed.event, parts["format"])
    version = verify_bundle(_object("version", parts["version"]), public_key).event
    steps = _events("steps", parts["steps"], public_key) if parts["format"] in WITH_STEPS else ()
    _must(bool(steps) or parts["format"] != LEARNED_FORMAT, f"steps must hold at least one event {LEARNED}.")
    _check_version(prediction, version, _registered_digest(prediction, steps))
    proven = ProvenPrediction(
        prediction,
        sealed,
        version,
        _events("approvals", parts["approvals"], public_key),
        _events("run", parts["run"], public_key),
        _events("datasets", parts["datasets"], public_key),
        steps,
    )
    _check_approvals(proven)
    _check_training(proven)
    for event in (sealed.event, version, *steps, *proven.approvals, *proven.run, *proven.datasets):
        _must(event.tenant == prediction.tenant, f"The event at position {event.position} is of another tenant.")
    for event in (version, *steps, *proven.approvals):
        _must(
            event.position < sealed.event.position, f"The event at position {event.position} came later than the seal."
        )
    return proven


def _parts(document: Union[str, bytes]) -> Mapping[str, Any]:
    try:
        text = document.decode("utf-8") if isinstance(document, bytes) else document
        values = json.loads(text)
        same = isinstance(values, Mapping) and canonical(values) == text.rstrip("\n")
    except (ValueError, RecursionError) as error:
        raise InvalidProof(f"The proof is not JSON: {error}.") from None
    _must(same, "The proof is not a JSON object in its one spelling: it was written anew, or altered.")
    _must(
        values.get("format") in FORMATS,
        f"format must be {PREDICTION_FORMAT!r}, {TEXTS_FORMAT!r} for an answer with texts, {LEARNED_FORMAT!r} for "
        f"one by a state that learned, or {GROUP_FORMAT!r} where a leaf is several answers.",
    )
    require_names("The proof", values, _LEARNED_PARTS if values["format"] in WITH_STEPS else _PARTS)
    found: Mapping[str, Any] = values
    return found


def _prediction(values: object, form: str) -> PredictionRecord:
    fields = dict(_object("prediction", values))
    names = FIELDS_WITH_TEXTS if form in MAY_HAVE_TEXTS else PREDICTION_FIELDS
    require_names("prediction", fields, names)
    for name in TUPLES.intersection(names):
        _must(isinstance(fields[name], list), f"{name} must be a list.")
        fields[name] = tuple(fields[name])
    for name in ("features", "outputs"):
        fields[name] = tuple(_float(name, value) for value in fields[name])
    found = PredictionRecord(**fields)
    fits = form == GROUP_FORMAT or found.has_texts == (form == TEXTS_FORMAT)
    _must(fits, f"format {form!r} does not fit a prediction with these texts.")
    return found


def _check_segment(prediction: PredictionRecord, segment: object, sealed: EventRecord, form: str) -> None:
    place = _object("segment", segment)
    require_names("segment", place, _PLACE_IN_GROUP if form == GROUP_FORMAT else _PLACE)
    told = _payload(sealed)
    _must(sealed.type == SEALED, f"sealed holds {sealed.type}, not {SEALED}.")
    _must(told.get("log_id") == prediction.log_id, "The segment is of another prediction log.")
    index, root = place["leaf_index"], told.get("root")
    count, leaves = told.get("count"), told.get("leaves", 0)
    _must(type(index) is int, "leaf_index of segment must be an integer.")
    if type(count) is not int or type(leaves) is not int or not isinstance(root, str):
        raise InvalidProof(f"{SEALED} names no count and root.")
    grouped = "several answers" if leaves else "one answer"
    _must(bool(leaves) == (form == GROUP_FORMAT), f"format {form!r} does not fit a segment whose leaves are {grouped}.")
    try:
        top = bytes.fromhex(root)
        leaf = leaf_among(prediction, _group(place)) if leaves else prediction_hash(prediction)
    except ValueError as error:
        raise InvalidProof(f"The prediction cannot be checked: {error}.") from None
    verify_inclusion(leaf, index, leaves or count, sibling_hashes(place["inclusion_path"]), top)


def _group(place: Mapping[str, Any]) -> InGroup:
    row = place["row"]
    _must(type(row) is int, f"row must be an integer, it is {row!r:.80}.")
    return InGroup(row, sibling_hashes(place["row_hashes"], "row_hashes"))


def _registered_digest(prediction: PredictionRecord, steps: Sequence[EventRecord]) -> str:
    """The version's own file: what answered, or what it was before the first step of the chain that leads there."""
    if not steps:
        return prediction.model_digest
    told = [_payload(event) for event in steps]
    _must(all(event.type == LEARNED for event in steps), f"steps holds an event that is not {LEARNED}.")
    of = (prediction.deployment, prediction.model, prediction.version)
    same = all((step.get("name"), step.get("model"), step.get("version")) == of for step in told)
    _must(same, "A step is of another version, or of another deployment, than the prediction.")
    registered = told[0].get("registered_digest")
    chain = [registered, *(step.get("digest_after") for step in told)]
    _must(
        [step.get("digest_before") for step in told] == chain[:-1], "A step does not begin where the one before ended."
    )
    _must(all(step.get("registered_digest") == registered for step in told), "The steps are of different files.")
    _must(chain[-1] == prediction.model_digest, "The last step does not lead to the state that answered.")
    places = [event.position for event in steps]
    _must(places == sorted(set(places)), "The steps are not in the order of the log.")
    return str(registered)


def _check_version(prediction: PredictionRecord, version: EventRecord, digest: str) -> None:
    told = _payload(version)
    if prediction.version == DEFAULT:
        _must(version.type == DEFAULT_SET, f"version holds {version.type}, not {DEFAULT_SET}.")
        _check_default(prediction, told)
        return
    _must(version.type == REGISTERED, f"version holds {version.type}, not {REGISTERED}.")
    _must(
        told.get("version") == prediction.version,
        f"version holds {told.get('version')!r:.80}, the prediction names {prediction.version!r:.80}.",
    )
    files = [told.get("artifact"), *(told.get("artifacts") or ())]
    digests = [each.get("digest") for each in files if isinstance(each, Mapping)]
    _must(digest in digests, "The version has no file with the digest that answered, or that the steps began with.")


def _check_default(prediction: PredictionRecord, told: Mapping[str, Any]) -> None:
    """That this very answer was set for this very deployment."""
    said = (told.get("name"), told.get("model"))
    _must(said == (prediction.deployment, prediction.model), "The default answer was set for another deployment.")
    resilience = told.get("resilience")
    fallback = resilience.get("fallback") if isinstance(resilience, Mapping) else None
    outputs = fallback.get("outputs") if isinstance(fallback, Mapping) else None
    try:
        given = [[each["name"], [float(value) for value in each["values"]]] for each in outputs or ()]
    except (TypeError, KeyError, ValueError):
        raise InvalidProof(f"{DEFAULT_SET} names no outputs.") from None
    digest = hashlib.sha256(canonical_list(given).encode("utf-8")).hexdigest()
    _must(digest == prediction.model_digest, "The digest is not that of the default answer that was set.")
    row = tuple(value for _, values in given for value in values)
    _must(row == prediction.outputs, "The prediction's outputs are not the default answer that was set.")


def _check_approvals(proven: ProvenPrediction) -> None:
    version = _payload(proven.version)
    nobody = proven.prediction.version != DEFAULT or not proven.approvals
    _must(nobody, "A default answer is nobody's version: nothing approves it.")
    for event in proven.approvals:
        told = _payload(event)
        said = (told.get("model_id"), told.get("version"), told.get("decision"))
        _must(
            event.type in REVIEWED and said == (version.get("model_id"), version.get("version"), "approved"),
            f"The event at position {event.position} approves no such version.",
        )


def _check_training(proven: ProvenPrediction) -> None:
    version = _payload(proven.version)
    runs = [_payload(event) for event in proven.run]
    named = [version["run_id"]] if version.get("run_id") else []
    started = all(event.type == STARTED for event in proven.run)
    _must(started and [run.get("run_id") for run in runs] == named, "run does not hold the run that the version names.")
    wanted = {(ref["dataset"], ref["version"]): "" for ref in version.get("datasets") or ()}
    wanted.update(
        {(ref["dataset"], ref["version"]): ref["digest"] for run in runs for ref in run.get("datasets") or ()}
    )
    found = [_payload(event) for event in proven.datasets]
    there = {(data.get("dataset"), data.get("version")): data.get("digest") for data in found}
    registered = all(event.type == DATASET for event in proven.datasets) and len(there) == len(found)
    _must(registered and there.keys() == wanted.keys(), "datasets does not hold exactly the data of the version.")
    for ref, digest in wanted.items():
        _must(digest in ("", there[ref]), f"The run read {ref[0]} {ref[1]} with another digest than was registered.")


def _events(name: str, bundles: object, key: Union[PublicKey, str]) -> tuple[EventRecord, ...]:
    if not isinstance(bundles, list):
        raise InvalidProof(f"{name} must be a list.")
    return tuple(verify_bundle(_object(name, bundle), key).event for bundle in bundles)


def _payload(event: EventRecord) -> Mapping[str, Any]:
    try:
        return _object("payload", json.loads(event.payload))
    except (ValueError, RecursionError):
        raise InvalidProof(f"The payload at position {event.position} is not JSON.") from None


def _object(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidProof(f"{name} must be a JSON object.")
    return value


def _float(name: str, value: object) -> float:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if type(value) is not float:
        raise InvalidEvent(f"{name} must hold numbers with a decimal point, it holds {value!r:.80}")
    return value


def _word(value: float) -> Union[float, str]:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidProof(otherwise)
