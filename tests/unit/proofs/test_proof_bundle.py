"""A proof bundle stands on its own: event, path and checkpoint, checked with the public key alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from modelog_proofs import (
    EventRecord,
    InvalidEvent,
    MerkleTree,
    ProofsError,
    generate_key,
    make_bundle,
    verify_bundle,
)
from modelog_proofs.leaf import FIELDS

Bundle = dict[str, Any]


@pytest.fixture(scope="session")
def bundle(events: list[EventRecord], tree: MerkleTree, checkpoint: str) -> Bundle:
    return make_bundle(events[22], tree.inclusion_proof(22, 60), checkpoint)


def altered(bundle: Bundle, change: Callable[[Bundle], object]) -> Bundle:
    copy: Bundle = json.loads(json.dumps(bundle))
    change(copy)
    return copy


def test_every_event_can_be_proven(
    events: list[EventRecord], tree: MerkleTree, checkpoint: str, public_key: str
) -> None:
    for index, record in enumerate(events):
        text = json.dumps(make_bundle(record, tree.inclusion_proof(index, 60), checkpoint))
        proven = verify_bundle(text, public_key)
        assert proven.event == record
        assert proven.checkpoint.size == 60


def test_the_bundle_is_plain_json(bundle: Bundle, public_key: str) -> None:
    assert list(bundle) == ["format", "event", "leaf_index", "inclusion_path", "checkpoint"]
    assert bundle["event"]["payload"] == '{"flight": "UA0023", "delay_min": 34.5}'
    assert verify_bundle(json.dumps(bundle).encode(), public_key).event.actor == "zoë"
    assert verify_bundle(bundle, public_key).event.position == 23


@pytest.mark.parametrize("field", [name for name, _ in FIELDS])
def test_no_field_can_be_altered(bundle: Bundle, public_key: str, field: str) -> None:
    value = bundle["event"][field]
    change = value + 1 if isinstance(value, int) else value + " "
    with pytest.raises(ProofsError, match=r"does not lead to the root|the event at position 24 is leaf 23"):
        verify_bundle(altered(bundle, lambda b: b["event"].update({field: change})), public_key)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda b: b.update(format="modelog.proof/2"), "format must be 'modelog.proof/1', it is 'modelog.proof/2'"),
        (lambda b: b.pop("leaf_index"), "The proof bundle has no leaf_index"),
        (lambda b: b.update(note="x"), "The proof bundle holds the unknown note, which nothing vouches for"),
        (lambda b: b["event"].pop("tenant"), "event has no tenant"),
        (lambda b: b["event"].update(approved=True), "event holds the unknown approved"),
        (lambda b: b.update(event=[]), "event must be a JSON object"),
        (lambda b: b["event"].update(payload={}), "payload must be text"),
        (lambda b: b["event"].update(payload="\ud800"), "payload is not valid UTF-8 text"),
        (lambda b: b["event"].update(version="1"), "version must be an integer, it is text"),
        (lambda b: b["event"].update(actor=None), "actor must be text, it is null"),
        (lambda b: b["event"].update(position=None), "position must be an integer, it is null"),
        (lambda b: b.update(leaf_index=21), "leaf_index is 21, but the event at position 23 is leaf 22"),
        (lambda b: b.update(leaf_index="22"), "leaf_index must be an integer, it is '22'"),
        (lambda b: b.update(inclusion_path="AAAA"), "inclusion_path must be a list of base64 texts"),
        (lambda b: b["inclusion_path"].append(1), r"inclusion_path\[6\] must be base64 text"),
        (lambda b: b["inclusion_path"].append("!"), r"inclusion_path\[6\] is not standard base64: '!'"),
        (lambda b: b["inclusion_path"].append("AAAA"), r"path\[6\] must be 32 bytes"),
        (lambda b: b["inclusion_path"].pop(), "too few for leaf 22 of 60"),
        (lambda b: b["inclusion_path"].reverse(), "does not lead to the root"),
        (lambda b: b.update(checkpoint=7), "checkpoint must be the text of a signed note"),
        (lambda b: b.update(checkpoint=b["checkpoint"].replace("60", "61", 1)), "the note was altered"),
    ],
)
def test_a_wrong_bundle_is_explained(
    bundle: Bundle, public_key: str, change: Callable[[Bundle], object], sentence: str
) -> None:
    with pytest.raises(ProofsError, match=sentence):
        verify_bundle(altered(bundle, change), public_key)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "The proof bundle is not JSON"), (b"\xff", "is not JSON"), ("[]", "must be a JSON object")],
)
def test_what_is_no_bundle_is_explained(public_key: str, text: str, sentence: str) -> None:
    with pytest.raises(ProofsError, match=sentence):
        verify_bundle(text, public_key)


def test_the_checkpoint_of_another_key_proves_nothing(bundle: Bundle) -> None:
    with pytest.raises(ProofsError, match="not by the trusted"):
        verify_bundle(bundle, generate_key("modelog.example/acme").public_key)


def test_a_payload_that_is_not_text_cannot_be_bundled(events: list[EventRecord], checkpoint: str) -> None:
    record = EventRecord(**{**vars(events[0]), "payload": b"\xff"})
    with pytest.raises(InvalidEvent, match="payload is not UTF-8 text"):
        make_bundle(record, [], checkpoint)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3)


@settings(deadline=None)
@given(data=st.data())
def test_no_json_value_makes_it_fail_in_another_way(bundle: Bundle, public_key: str, data: st.DataObject) -> None:
    where, name = data.draw(st.sampled_from([(p, n) for p in (bundle, bundle["event"]) for n in p]))
    value = data.draw(JSON)
    assume(json.dumps(value) != json.dumps(where[name]))

    def change(copy: Bundle) -> None:
        (copy if where is bundle else copy["event"])[name] = value

    with pytest.raises(ProofsError):
        verify_bundle(altered(bundle, change), public_key)
