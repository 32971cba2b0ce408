"""The proof of a prediction: any altered byte is found, and no event of something else passes for one that belongs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from modelog_proofs import (
    InvalidEvent,
    InvalidNote,
    MemoryHashStore,
    MerkleTree,
    PredictionRecord,
    PrivateKey,
    ProofsError,
    generate_key,
    hash_leaf,
    make_prediction_proof,
    prediction_hash,
    verify_prediction,
)
from modelog_proofs.__main__ import main
from prediction_story import LEARNED, LESSONS, PREDICTION, REF, TEXTS, UNFIT, Log, Payload


@pytest.fixture(scope="module")
def proof(key: PrivateKey) -> str:
    return Log(key).proof()


def test_a_prediction_is_proven_with_all_that_led_to_it(proof: str, public_key: str) -> None:
    proven = verify_prediction(proof.encode(), public_key)
    told = proven.prediction
    assert (told.prediction_id, told.features[0], told.outputs) == ("p-ü", 9.0, (0.25, -math.inf))
    assert math.isnan(told.features[1])
    assert [event.position for event in (*proven.datasets, *proven.run, proven.version, *proven.approvals)] == [
        1,
        2,
        3,
        4,
    ]
    for line in ("prediction  p-ü of flights: [0.25, -inf]", "approved    by bob at position 4", "months 3, digest d3"):
        assert line in proven.text()
    assert verify_prediction(proof + "\n", public_key) is not None


def test_any_changed_byte_is_found(proof: str, public_key: str) -> None:
    whole = proof.encode()
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 7
        with pytest.raises(ProofsError):
            verify_prediction(bytes(altered), public_key)
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ProofsError):
            verify_prediction(whole[:cut], public_key)
    with pytest.raises(ProofsError, match="not a JSON object in its one spelling"):
        verify_prediction(json.dumps(json.loads(proof)), public_key)


def test_texts_are_proven_like_numbers(key: PrivateKey, public_key: str) -> None:
    proof = Log(key, prediction=TEXTS).proof()
    proven = verify_prediction(proof, public_key)
    assert proven.prediction.feature_texts == ("für Zoë ✈", "")
    assert "prediction  p-ü of flights: ['late', 0.25]" in proven.text()
    test_any_changed_byte_is_found(proof, public_key)
    for other, why in (
        (proof.replace('"late"', '"on time"'), "does not lead to the root"),
        (proof.replace("prediction-proof/2", "prediction-proof/1"), "prediction"),
        (
            proof.replace('["late",""]', "[]").replace('["für Zoë ✈",""]', "[]"),
            "does not fit a prediction with these texts",
        ),
        (proof.replace('["late",""]', '["late"]'), "output_texts has 1 texts for 2 numbers"),
        (proof.replace('["late",""]', '["late","x"]'), "output_texts has a text where there is a number"),
    ):
        with pytest.raises(ProofsError, match=why):
            verify_prediction(other, public_key)


def test_the_leaf_of_texts_is_as_specified() -> None:
    small = PredictionRecord(
        "l", "t", "d", "m", "i", "k", "v", "g", 1, 2, ("a", "b"), (0.5, math.nan), (math.nan,), ("", "ü"), ("y",)
    )
    spelled = (
        "6d6f64656c6f672e70726564696374696f6e2f32" "000000016c" "0000000174" "0000000164" "000000016d" "0000000169"
        "000000016b" "0000000176" "0000000167" "0000000131" "0000000132" "0000000a00000001610000000162"
        "00000010000000000000e03f000000000000f87f" "00000008000000000000f87f"
        "0000000a" "00000000" "00000002c3bc" "00000005" "0000000179"
    )  # fmt: skip
    assert prediction_hash(small) == hash_leaf(bytes.fromhex(spelled))


def test_another_key_proves_nothing(proof: str) -> None:
    other = generate_key("modelog.example/acme").public_key.text()
    with pytest.raises(InvalidNote):
        verify_prediction(proof, other)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: p["sealed"].update(root="00" * 32), "does not lead to the root"),
        (lambda p: p["sealed"].update(root="zz"), "cannot be checked"),
        (lambda p: p["sealed"].update(count="3"), "names no count and root"),
        (lambda p: p["sealed"].update(log_id="other"), "of another prediction log"),
        (lambda p: p["sealed"].update(tenant="other"), "position 5 is of another tenant"),
        (lambda p: p["version"].update(version="1.1.0"), "the prediction names '1.0.0'"),
        (lambda p: p["version"].update(artifact={"digest": "b" * 64}), "no file with the digest that answered"),
        (lambda p: p["version"].update(run_id="r2"), "run does not hold the run"),
        (lambda p: p["version"].update(datasets=[{"dataset": "more", "version": 1}]), "exactly the data"),
        (lambda p: p["run"].update(datasets=[{**REF, "digest": "d4"}]), "another digest than was registered"),
        (lambda p: p["approval"].update(decision="rejected"), "position 4 approves no such version"),
        (lambda p: p["approval"].update(version="1.1.0"), "position 4 approves no such version"),
        (lambda p: p["approval"].update(model_id="another"), "position 4 approves no such version"),
    ],
)  # fmt: skip
def test_events_of_something_else_prove_nothing(
    key: PrivateKey, public_key: str, change: Callable[[dict[str, Payload]], object], why: str
) -> None:
    with pytest.raises(ProofsError, match=why):
        verify_prediction(Log(key, change).proof(), public_key)


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"run": []}, "run does not hold the run"),
        ({"datasets": []}, "exactly the data"),
        ({"datasets": ["dataset", "dataset"]}, "exactly the data"),
        ({"approvals": ["run"]}, "position 2 approves no such version"),
    ],
)
def test_nothing_may_be_left_out_or_put_in(
    key: PrivateKey, public_key: str, lists: dict[str, list[str]], why: str
) -> None:
    with pytest.raises(ProofsError, match=why):
        verify_prediction(Log(key).proof(**lists), public_key)


@pytest.mark.parametrize("name", ["sealed", "version", "approval", "run", "dataset"])
def test_an_event_of_another_type_is_not_taken(key: PrivateKey, public_key: str, name: str) -> None:
    with pytest.raises(ProofsError):
        verify_prediction(Log(key, **{name: "other.Event"}).proof(), public_key)


def test_a_version_that_nobody_approved_is_said(key: PrivateKey, public_key: str) -> None:
    assert "nobody had approved" in verify_prediction(Log(key).proof(approvals=[]), public_key).text()


# The SHA-256 of [["late",[0.25]],["gate",[1.0]]].
DEFAULT_DIGEST = "7d611ec4e99a80974673e947603b0937131f65bd24b836c935dc2c23ce7c0446"
OUTPUTS = [{"name": "late", "values": [0.25]}, {"name": "gate", "values": [1]}]
SET = {"name": "flights", "model": "delay", "resilience": {"fallback": {"outputs": OUTPUTS, "version": ""}}}


def default_proof(
    key: PrivateKey, change: Callable[[Payload], object] = lambda _: None, lists: Any = None, **fields: Any
) -> str:
    """Of the answer that was set by default, in a log where the setting may be another one."""
    given = {"version": "default", "model_digest": DEFAULT_DIGEST, "outputs": (0.25, 1.0), **fields}
    prediction, setting = replace(PREDICTION, **given), json.loads(json.dumps(SET))
    change(setting)
    segment = MerkleTree(MemoryHashStore())
    segment.extend([prediction_hash(prediction)])

    def told(payloads: dict[str, Payload]) -> None:
        payloads["version"] = setting
        payloads["sealed"].update(root=segment.root(1).hex(), count=1)

    log = Log(key, told, version="serving.ResilienceSet")
    bundles = {
        name: [log.bundle(each) for each in (lists or {}).get(name, [])] for name in ("approvals", "run", "datasets")
    }
    return make_prediction_proof(
        prediction, 0, [], sealed=log.bundle("sealed"), version=log.bundle("version"), **bundles
    )


def test_a_default_answer_is_proven_by_the_event_that_set_it(key: PrivateKey, public_key: str) -> None:
    text = verify_prediction(default_proof(key), public_key).text()
    for line in (
        f"answered by no version of delay: the default answer, {DEFAULT_DIGEST}",
        "set         by zoë at position 3",
        "PROVEN",
    ):
        assert line in text
    assert "approved" not in text


@pytest.mark.parametrize(
    ("change", "fields", "lists", "why"),
    [
        (lambda s: s.update(name="other"), {}, {}, "set for another deployment"),
        (lambda s: s.update(model="other"), {}, {}, "set for another deployment"),
        (lambda s: s.update(resilience=None), {}, {}, "not that of the default answer that was set"),
        (lambda s: s["resilience"].update(fallback={"outputs": [{"name": 1}]}), {}, {}, "names no outputs"),
        (lambda s: s["resilience"]["fallback"]["outputs"][0].update(values=[0.5]), {}, {}, "not that of the default"),
        (lambda _: None, {"outputs": (0.25, 2.0)}, {}, "outputs are not the default answer"),
        (lambda _: None, {"model_digest": "a" * 64}, {}, "not that of the default answer"),
        (lambda _: None, {"version": "1.0.0"}, {}, "holds serving.ResilienceSet, not registry.VersionRegistered"),
        (lambda _: None, {}, {"approvals": ["approval"]}, "nothing approves it"),
        (lambda _: None, {}, {"run": ["run"]}, "run does not hold the run"),
        (lambda _: None, {}, {"datasets": ["dataset"]}, "exactly the data"),
    ],
)
def test_a_default_answer_that_was_not_set_so_is_not_proven(
    key: PrivateKey, public_key: str, change: Any, fields: Any, lists: Any, why: str
) -> None:
    with pytest.raises(ProofsError, match=why):
        verify_prediction(default_proof(key, change, lists, **fields), public_key)


def test_the_package_alone_checks_it(
    proof: str, public_key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "proof.json"
    file.write_text(proof)
    assert main(["--proof", str(file), public_key]) == 0
    assert "PROVEN: the prediction is in the log" in capsys.readouterr().out
    file.write_text(proof.replace("p-ü", "p-u"))
    assert main(["--proof", str(file), public_key]) == 1
    assert "does not lead to the root" in capsys.readouterr().out


def test_the_leaf_is_as_specified() -> None:
    small = PredictionRecord("l", "t", "d", "m", "i", "k", "v", "g", 1, 2, ("a",), (0.5,), (math.nan,))
    spelled = (
        "6d6f64656c6f672e70726564696374696f6e2f31" "000000016c" "0000000174" "0000000164" "000000016d" "0000000169"
        "000000016b" "0000000176" "0000000167" "0000000131" "0000000132" "000000050000000161"
        "00000008000000000000e03f" "00000008000000000000f87f"
    )  # fmt: skip
    assert prediction_hash(small) == hash_leaf(bytes.fromhex(spelled))


@pytest.mark.parametrize(("fields", "why"), UNFIT)
def test_what_cannot_be_a_leaf_is_named(fields: dict[str, Any], why: str) -> None:
    small = PredictionRecord("l", "t", "d", "m", "i", "k", "v", "g", 1, 2, ("a",), (0.5,), (0.0,))
    with pytest.raises(InvalidEvent, match=why):
        prediction_hash(replace(small, **fields))


def learned(key: PrivateKey, *steps: str, **changes: Any) -> str:
    return Log(key, prediction=LEARNED, story=LESSONS, **changes).proof(steps=list(steps))


def test_a_state_that_learned_is_proven_back_to_the_file_that_was_registered(key: PrivateKey, public_key: str) -> None:
    proof = learned(key, "first", "second")
    proven = verify_prediction(proof, public_key)
    assert [event.position for event in proven.steps] == [5, 6]
    assert f"learned     step 2 at position 6: 100 labels, file {'e' * 64}, to {'c' * 64}" in proven.text()
    assert "approved    by bob at position 4" in proven.text()
    for place in range(0, len(proof), 7):
        altered = bytearray(proof.encode())
        altered[place] ^= 1 << place % 7
        with pytest.raises(ProofsError):
            verify_prediction(bytes(altered), public_key)


@pytest.mark.parametrize(
    ("steps", "change", "types", "why"),
    [
        (["second"], None, {}, "does not begin where the one before ended"),
        (["first"], None, {}, "does not lead to the state that answered"),
        (["second", "first"], None, {}, "does not begin where the one before ended"),
        (["first", "second"], ("second", "version", "1.1.0"), {}, "another version, or of another deployment"),
        (["first", "second"], ("first", "name", "other"), {}, "another version, or of another deployment"),
        (["first", "second"], ("second", "registered_digest", "d" * 64), {}, "steps are of different files"),
        (["first", "second"], ("first", "tenant", "other"), {}, "position 5 is of another tenant"),
        (["first", "second"], None, {"second": "serving.LearningSet"}, "an event that is not serving.ModelLearned"),
    ],
)
def test_a_chain_with_a_step_that_does_not_belong_is_refused(
    key: PrivateKey, public_key: str, steps: list[str], change: tuple[str, str, str] | None, types: Any, why: str
) -> None:
    def changed(payloads: dict[str, Payload]) -> None:
        if change is not None:
            payloads[change[0]][change[1]] = change[2]

    with pytest.raises(ProofsError, match=why):
        verify_prediction(learned(key, *steps, change=changed, **types), public_key)


def test_steps_must_begin_with_the_file_of_the_version(key: PrivateKey, public_key: str) -> None:
    def other_file(payloads: dict[str, Payload]) -> None:
        payloads["version"]["artifact"]["digest"] = "f" * 64

    with pytest.raises(ProofsError, match="no file with the digest that answered, or that the steps began with"):
        verify_prediction(learned(key, "first", "second", change=other_file), public_key)


def test_a_state_without_its_steps_is_not_the_versions_file(key: PrivateKey, public_key: str) -> None:
    with pytest.raises(ProofsError, match="no file with the digest that answered"):
        verify_prediction(learned(key), public_key)
