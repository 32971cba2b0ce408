"""Every event type of every service has its sentence, and no payload breaks one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.events.store import StoredEvent
from modelog_lineage.story.sentences import ENTITIES, SENTENCES, sentence_of
from modelog_lineage.story.telling import Happened
from modelog_lineage.story.words import count, listed, word

CONTRACT = Path(__file__).parents[2] / "contract"
GOLDEN = sorted(CONTRACT.glob("*/golden/*.json"))
WRITTEN = {json.loads(file.read_text())["type"] for file in GOLDEN}
AT = datetime(2026, 1, 1, tzinfo=UTC)


def stored(kind: str, payload: bytes, stream: str = "test.thing-0123456789") -> StoredEvent:
    return StoredEvent(7, "e-7", stream, 1, kind, 1, AT, "acme", "alice", "", "", "", payload)


def test_no_type_is_without_a_sentence() -> None:
    assert set(SENTENCES) >= WRITTEN, "write its sentence in modelog_lineage/story/tell_*.py"
    assert set(SENTENCES) <= WRITTEN, "no service writes this type"


@pytest.mark.parametrize("file", GOLDEN, ids=lambda f: f.stem)
def test_what_was_ever_written_is_told_in_its_own_words(file: Path) -> None:
    golden = json.loads(file.read_text())
    told = sentence_of(stored(golden["type"], json.dumps(golden["payload"]).encode()))
    assert told
    assert "happened to" not in told
    assert SENTENCES[golden["type"]].one(golden["payload"]) == told
    all_of = SENTENCES[golden["type"]].all
    if all_of is not None:
        assert all_of(Happened(3, golden["payload"], golden["payload"], told))


def test_sentences_say_who_did_what() -> None:
    def told(kind: str) -> str:
        return sentence_of(stored(kind, json.dumps(golden(kind)).encode()))

    assert told("registry.VersionPromoted") == (
        "flight-delay 1.0.0 went from development to staging, promoted by alice: to be tried"
    )
    assert told("registry.VersionReviewed") == "bob approved flight-delay 1.0.0: better"
    assert told("serving.TrafficSet") == "bob set the traffic of flights to 90 % 1.0.0 and 10 % 1.1.0: canary"
    assert told("monitoring.WindowEvaluated") == (
        "flights judged 2013-04: 27,007 predictions, AUC 0.696, 1 drifted feature - drift and quality alert"
    )
    scaled = [json.loads((CONTRACT / f"serving/golden/serving.ScalingSet.{n}.json").read_text()) for n in (1, 2)]
    assert [SENTENCES["serving.ScalingSet"].one(golden["payload"]) for golden in scaled] == [
        "bob lets flights have 2 to 8 replicas: rush",
        "bob lets flights have 2 to 8 replicas, each with 1 GPU: rush",
    ]


def test_a_channels_address_is_not_told() -> None:
    assert "hooks.example" not in SENTENCES["monitoring.AlertDelivered"].one(golden("monitoring.AlertDelivered"))


def golden(kind: str) -> dict[str, Any]:
    file = next(f for f in GOLDEN if f.name.startswith(f"{kind}.1"))
    payload: dict[str, Any] = json.loads(file.read_text())["payload"]
    return payload


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(SENTENCES)), st.data())
def test_no_payload_breaks_a_sentence(kind: str, data: st.DataObject) -> None:
    payload = golden(kind)
    for name in data.draw(st.lists(st.sampled_from(sorted(payload)), max_size=3)):
        payload[name] = data.draw(JSON)
    told = sentence_of(stored(kind, json.dumps(payload).encode()))
    assert told.isprintable()


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"{}", b"[" * 5000])
def test_what_cannot_be_read_is_told_for_what_it_is(payload: bytes) -> None:
    told = sentence_of(stored("registry.VersionPromoted", payload, "registry.model-7f3c1d2e99"))
    assert told == "registry.VersionPromoted happened to model 7f3c1d2e"
    assert sentence_of(stored("x.Unknown", payload)) == "x.Unknown happened to test.thing 01234567"


def test_words() -> None:
    assert word("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"
    assert word("x" * 500).endswith("...")
    assert word({"cipher": "AAAA"}) == "(hidden)"
    assert (count(1, "row"), count(1204, "row")) == ("1 row", "1,204 rows")
    assert (listed([]), listed(["a"]), listed(["a", "b", "c"])) == ("nothing", "a", "a, b and c")
    assert all(entity.kind for entity in ENTITIES.values())
