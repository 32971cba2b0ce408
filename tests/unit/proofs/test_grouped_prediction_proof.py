"""The proof of a prediction whose leaf is several answers: what it shows of the others, and that no byte may change."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from modelog_proofs import (
    InGroup,
    InvalidEvent,
    InvalidProof,
    MemoryHashStore,
    MerkleTree,
    PredictionRecord,
    PrivateKey,
    ProofsError,
    group_hash,
    hash_leaf,
    leaf_among,
    make_prediction_proof,
    row_hash,
    verify_prediction,
)
from prediction_story import LEARNED, LESSONS, PREDICTION, STORY, TEXTS, UNFIT, Log, Payload

SECRET = replace(PREDICTION, prediction_id="secret-other", features=(77.5, 1.0))


class Grouped(Log):
    """A signed log in which the prediction shares its leaf with others, between two leaves of others."""

    def __init__(
        self,
        key: PrivateKey,
        change: Callable[[dict[str, Payload]], object] = lambda _: None,
        prediction: PredictionRecord = PREDICTION,
        **given: Any,
    ) -> None:
        self.others = [row_hash(SECRET), row_hash(replace(PREDICTION, prediction_id="last"))]
        self.group = InGroup(1, self.others)
        tree = MerkleTree(MemoryHashStore())
        strangers = [group_hash(replace(PREDICTION, deployment=name), [bytes(32)]) for name in ("one", "two")]
        tree.extend([strangers[0], leaf_among(prediction, self.group), strangers[1]])

        def told(payloads: dict[str, Payload]) -> None:
            payloads["sealed"].update(root=tree.root(3).hex(), count=5, leaves=3)
            change(payloads)

        super().__init__(key, told, prediction, **given)
        self.segment = tree

    def proof(self, steps: Sequence[str] = (), **lists: list[str]) -> str:
        lists = {"approvals": ["approval"], "run": ["run"], "datasets": ["dataset"], "steps": list(steps), **lists}
        return make_prediction_proof(
            self.prediction, 1, self.segment.inclusion_proof(1, 3), sealed=self.bundle("sealed"),
            version=self.bundle("version"), group=self.group,
            **{name: [self.bundle(each) for each in names] for name, names in lists.items()},
        )  # fmt: skip


@pytest.fixture(scope="module")
def proof(key: PrivateKey) -> str:
    return Grouped(key).proof()


def test_it_proves_the_answer_and_shows_only_hashes_of_the_others(proof: str, public_key: str) -> None:
    proven = verify_prediction(proof, public_key)
    assert proven.prediction == PREDICTION
    assert "PROVEN" in proven.text()
    assert json.loads(proof)["format"] == "modelog.prediction-proof/4"
    assert "secret-other" not in proof
    assert "77.5" not in proof


@pytest.mark.parametrize("prediction", [PREDICTION, TEXTS], ids=["numbers", "texts"])
def test_any_changed_byte_is_found(key: PrivateKey, public_key: str, prediction: PredictionRecord) -> None:
    proof = Grouped(key, prediction=prediction).proof()
    assert verify_prediction(proof, public_key).prediction == prediction
    for place in range(len(proof.encode())):
        altered = bytearray(proof.encode())
        altered[place] ^= 1 << place % 7
        with pytest.raises(ProofsError):
            verify_prediction(bytes(altered), public_key)


def test_a_state_that_learned_is_proven_by_its_steps(key: PrivateKey, public_key: str) -> None:
    log = Grouped(key, prediction=LEARNED, story=LESSONS)
    assert len(verify_prediction(log.proof(["first", "second"]), public_key).steps) == 2
    for steps in ((), ("first",), ("second",)):
        with pytest.raises(InvalidProof):
            verify_prediction(log.proof(steps), public_key)


def in_segment(proof: str, **changes: Any) -> str:
    document = json.loads(proof)
    document["segment"].update(changes)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def test_the_order_of_the_answers_counts(proof: str, public_key: str) -> None:
    hashes = json.loads(proof)["segment"]["row_hashes"]
    for changes in ({"row": 0}, {"row": 2}, {"row_hashes": hashes[::-1]}, {"row_hashes": hashes[:1]}):
        with pytest.raises(InvalidProof, match="does not lead to the root"):
            verify_prediction(in_segment(proof, **changes), public_key)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"row": 3}, "row must be a place in a leaf of at most 32 answers, it is 3 beside 2 others"),
        ({"row": -1}, "it is -1 beside 2 others"),
        ({"row": True}, "row must be an integer, it is True"),
        ({"row": 0, "row_hashes": ["AAAA"] * 32}, "it is 0 beside 32 others"),
        ({"row_hashes": ["AAAA"]}, r"row_hashes\[0\] must be 32 bytes, it has 3"),
        ({"row_hashes": ["?"]}, r"row_hashes\[0\] is "),
        ({"row_hashes": "AAAA"}, "row_hashes must be a list of base64 texts"),
        ({"more": 1}, "segment holds the unknown more"),
    ],
)
def test_a_place_that_cannot_be_is_named(proof: str, public_key: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidProof, match=why):
        verify_prediction(in_segment(proof, **changes), public_key)


def test_the_seal_says_which_leaves_there_are(key: PrivateKey, public_key: str) -> None:
    """A hash of one kind is not taken for one of the other."""
    with pytest.raises(InvalidProof, match="does not fit a segment whose leaves are one answer"):
        verify_prediction(Grouped(key, lambda told: told["sealed"].pop("leaves")).proof(), public_key)
    with pytest.raises(InvalidProof, match="does not fit a segment whose leaves are several answers"):
        verify_prediction(Log(key, lambda told: told["sealed"].update(leaves=3)).proof(), public_key)
    with pytest.raises(InvalidProof, match="names no count and root"):
        verify_prediction(Grouped(key, lambda told: told["sealed"].update(leaves="3")).proof(), public_key)


def test_an_answer_is_of_the_version_that_its_leaf_names(key: PrivateKey, public_key: str) -> None:
    other = Grouped(key)
    other.prediction = replace(PREDICTION, model_digest="b" * 64)
    with pytest.raises(InvalidProof, match="does not lead to the root"):
        verify_prediction(other.proof(), public_key)


SMALL = PredictionRecord("l", "t", "d", "m", "i", "i", "v", "g", 1, -2, ("a",), (0.5,), (math.nan,))


def test_the_leaf_is_as_specified() -> None:
    row = "00000000016900000000000000010000003f0000c07f"
    assert row_hash(SMALL) == hashlib.sha256(bytes.fromhex("02" + row)).digest()
    leaf = (
        "6d6f64656c6f672e70726564696374696f6e732f33" "000000016c" "0000000174" "0000000164" "000000016d"
        "0000000176" "0000000167" "000000050000000161" "0000000131" "fffffffffffffffe"
    )  # fmt: skip
    both = [row_hash(SMALL), bytes(32)]
    assert group_hash(SMALL, both) == hash_leaf(bytes.fromhex(leaf) + b"".join(both))
    assert leaf_among(SMALL, InGroup(0, [bytes(32)])) == group_hash(SMALL, both)


def test_what_is_unusual_in_a_row_is_as_specified() -> None:
    keyed = replace(SMALL, key="ü", features=(0.1,), outputs=(math.nan,), feature_texts=("",), output_texts=("y",))
    row = (
        "0b" "0000000169" "00000002c3bc" "0000000000000001" "9a9999999999b93f" "0000c07f" "0000000400000000"
        "000000050000000179"
    )  # fmt: skip
    assert row_hash(keyed) == hashlib.sha256(bytes.fromhex("02" + row)).digest()
    # One number that float32 does not hold makes all of them float64.
    large = replace(SMALL, feature_names=("a", "b"), features=(1e300, math.nan), outputs=(math.inf,))
    row = "02000000016900000000000000019c7500883ce4377e000000000000f87f0000807f"
    assert row_hash(large) == hashlib.sha256(bytes.fromhex("02" + row)).digest()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        *UNFIT,
        ({"event_time_us": 1 << 63}, "event_time_us must be an integer of 64 bits"),
        ({"answered_at_us": -(1 << 63) - 1}, "answered_at_us must be an integer of 64 bits"),
        ({"feature_texts": ("x",), "features": (1.0,)}, "feature_texts has a text where there is a number"),
    ],
)
def test_what_cannot_be_in_a_leaf_is_named(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidEvent, match=why):
        leaf_among(replace(SMALL, **fields), InGroup(0, []))


def test_stories_are_of_a_seal_that_tells_no_leaves() -> None:
    """What the tests of the earlier formats are of."""
    assert "leaves" not in STORY["sealed"][2]
