"""What events change in the graph, and how a batch of changes becomes rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.bus.source import PoisonEvent
from modelog_common.domain.errors import Invalid
from modelog_lineage.graph import cypher
from modelog_lineage.graph.batch import Batch, Translated, described, fold, uid_of
from modelog_lineage.graph.changes import Change, Connect, Describe, Disconnect, GoOn, Thing
from modelog_lineage.graph.translate import KNOWN, changes_of
from modelog_lineage.graph.vocabulary import Kind, Link, kind_of

sys.path.insert(0, str(Path(__file__).parent))

from write_translation_golden import CHANGES, EVENTS, stored, written

LIVE, OLD, NEW = (Thing(Kind.DEPLOYMENT, "live"), Thing(Kind.MODEL_VERSION, "m/1"), Thing(Kind.MODEL_VERSION, "m/2"))
RESERVED = {"uid", "id", "tenant", "kind", "name", "valid_from"}


def test_events_are_translated_as_they_were() -> None:
    assert written() == CHANGES.read_text(), (
        f"look at the difference, then run {EVENTS.parent}/write_translation_golden.py"
    )


def test_the_golden_file_has_every_event_that_the_graph_knows() -> None:
    assert {event["type"] for event in json.loads(EVENTS.read_text())} >= KNOWN


def test_no_attribute_takes_the_name_of_a_property_of_every_node() -> None:
    for event in json.loads(EVENTS.read_text()):
        for change in changes_of(stored(event["type"], event["payload"])):
            if isinstance(change, Describe):
                assert not RESERVED & set(change.attributes), event["type"]


@pytest.mark.parametrize(
    "payload", [b"not json", b"\xff", b"[]", b"{}", b'{"name": 7}', b'{"name": "m", "tags": [1]}'], ids=repr
)
def test_a_payload_without_what_the_graph_needs_is_poison(payload: bytes) -> None:
    with pytest.raises(PoisonEvent, match=r"the payload is not a registry\.ModelRegistered: "):
        changes_of(stored("registry.ModelRegistered", payload))


def test_what_a_newer_release_adds_is_ignored() -> None:
    changes = changes_of(stored("registry.ModelRegistered", {"name": "m", "colour": "blue"}))
    assert changes == (Describe(Thing(Kind.MODEL, "m"), {"status": "registered"}),)


def test_a_thing_goes_on_as_another_with_its_attributes() -> None:
    """Those of the batch and of the graph; the thing itself says what became of it."""
    go_on = GoOn(OLD, NEW, {"model": "n"}, {"status": "renamed"}, "n 2")
    batch = fold(
        [(stored("x", {}, 3), [Describe(OLD, {"stage": "staging"})]), (stored("x", {}, 5), [go_on])],
        {uid_of("acme", OLD.id): {"flavor": "xgboost"}, uid_of("acme", NEW.id): {"another": "before"}},
    )
    old, new = uid_of("acme", OLD.id), uid_of("acme", NEW.id)
    assert [(s.attributes, s.valid_from, s.valid_until) for s in batch.states[old]] == [
        ({"flavor": "xgboost", "stage": "staging"}, 3, 5),
        ({"flavor": "xgboost", "stage": "staging", "status": "renamed"}, 5, None),
    ]
    assert [s.attributes for s in batch.states[new]] == [{"flavor": "xgboost", "stage": "staging", "model": "n"}]
    assert batch.names == {new: "n 2"}
    assert [(e.source, e.link, e.target) for e in batch.edges.values()] == [(new, Link.RENAMED_FROM, old)]
    assert set(described([(stored("x", {}, 5), [go_on])])) == {old, new}


def test_kinds_of_nodes() -> None:
    assert kind_of("ModelVersion:m/1") is Kind.MODEL_VERSION
    with pytest.raises(Invalid, match="'Sun' is not a kind of thing in the graph; it has Dataset, DatasetVersion"):
        kind_of("Sun:1")


def batch_of(*steps: tuple[int, list[Change]], current: dict[str, dict[str, str]] | None = None) -> Batch:
    return fold([(stored("x", {}, position), changes) for position, changes in steps], current or {})


def test_attributes_add_up_and_each_state_ends_where_the_next_begins() -> None:
    uid = uid_of("acme", OLD.id)
    batch = batch_of(
        (5, [Describe(OLD, {"stage": "development"}, "m 1"), Describe(OLD, {"author": "alice"})]),
        (7, [Describe(OLD, {"stage": "production"})]),
        current={uid: {"flavor": "xgboost", "stage": "none"}},
    )
    told = [(s.valid_from, s.valid_until, dict(s.attributes)) for s in batch.states[uid]]
    assert told == [
        (5, 7, {"flavor": "xgboost", "stage": "development", "author": "alice"}),
        (7, None, {"flavor": "xgboost", "stage": "production", "author": "alice"}),
    ]
    assert batch.names == {uid: "m 1"}
    assert batch.nodes[uid].valid_from == 5


def test_links_end_where_their_source_lets_go() -> None:
    live, old, new = (uid_of("acme", thing.id) for thing in (LIVE, OLD, NEW))
    batch = batch_of(
        (3, [Disconnect(LIVE, Link.SERVES), Connect(LIVE, Link.SERVES, OLD)]),
        (4, [Disconnect(LIVE, Link.SERVES), Connect(LIVE, Link.SERVES, OLD), Connect(LIVE, Link.SERVES, NEW)]),
        (6, [Disconnect(LIVE, Link.SERVES)]),
    )
    edges = [(e.source, e.target, e.valid_from, e.valid_until) for e in batch.edges.values()]
    assert edges == [(live, old, 3, 4), (live, old, 4, 6), (live, new, 4, 6)]
    assert batch.ended == {(live, Link.SERVES): 3}, "what the graph holds ends with the first"


def test_tenants_are_kept_apart() -> None:
    assert uid_of("acme", OLD.id) != uid_of("umbrella", OLD.id)


def test_what_is_described_is_asked_for_once() -> None:
    translated: Translated = [
        (stored("x", {}, n), [Describe(OLD), Connect(OLD, Link.APPROVED_BY, Thing(Kind.APPROVAL, "a"))]) for n in (1, 2)
    ]
    assert described(translated) == [uid_of("acme", OLD.id)]


def test_statements_hold_values_as_parameters_only() -> None:
    hostile = "x'}) DETACH DELETE n //`"
    thing = Thing(Kind.MODEL, hostile)
    batch = batch_of(
        (1, [Describe(thing, {"a": hostile, f"tag.{hostile}": "b"}), Connect(thing, Link.CREATED_BY, OLD)])
    )
    statements = list(cypher.statements_of(batch))
    assert not [s for s in statements if hostile in s.cypher]
    newest = next(s for s in statements if s.cypher == cypher.NEWEST)
    assert newest.parameters["rows"][0]["attributes"] == {"a": hostile}, "names of properties are never user input"


def test_nothing_to_write_is_no_statement() -> None:
    assert list(cypher.statements_of(batch_of((1, [])))) == []


steps = st.lists(
    st.tuples(st.sampled_from([OLD, NEW]), st.sampled_from(["a", "b"]), st.sampled_from("xyz")), min_size=1, max_size=12
)


@given(steps, st.integers(0, 12))
def test_batches_may_be_cut_anywhere(steps: list[tuple[Thing, str, str]], cut: int) -> None:
    """Two batches tell of the same spans as one."""
    translated: Any = [
        (stored("x", {}, n), [Describe(thing, {name: value})]) for n, (thing, name, value) in enumerate(steps, 1)
    ]

    def spans(batches: list[Any]) -> dict[str, list[tuple[int, int | None, dict[str, str]]]]:
        current: dict[str, dict[str, str]] = {}
        told: dict[str, list[tuple[int, int | None, dict[str, str]]]] = {}
        for batch in batches:
            for uid, states in fold(batch, current).states.items():
                if told.get(uid):
                    begin, _, attributes = told[uid][-1]
                    told[uid][-1] = (begin, states[0].valid_from, attributes)
                told.setdefault(uid, []).extend((s.valid_from, s.valid_until, dict(s.attributes)) for s in states)
                current[uid] = dict(states[-1].attributes)
        return told

    assert spans([translated[:cut], translated[cut:]]) == spans([translated])
