"""A prediction with the events that led to it, in a signed log of which proofs are made."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from modelog_proofs import (
    Checkpoint,
    EventRecord,
    MemoryHashStore,
    MerkleTree,
    PredictionRecord,
    PrivateKey,
    event_hash,
    make_bundle,
    make_prediction_proof,
    prediction_hash,
    sign_checkpoint,
)

DIGEST = "a" * 64
Payload = dict[str, Any]
PREDICTION = PredictionRecord(
    log_id="log", tenant="acme", deployment="flights", model="delay", prediction_id="p-ü", key="N1", version="1.0.0",
    model_digest=DIGEST, event_time_us=1, answered_at_us=2, feature_names=("hour", "carrier"),
    features=(9.0, math.nan), outputs=(0.25, -math.inf),
)  # fmt: skip
TEXTS = replace(
    PREDICTION, feature_names=("note", "hour"), features=(math.nan, 9.0), outputs=(math.nan, 0.25),
    feature_texts=("für Zoë ✈", ""), output_texts=("late", ""),
)  # fmt: skip
# What no answer can have, whichever way it is hashed, and what is said of it.
UNFIT: list[tuple[Payload, str]] = [
    ({"features": (1.0, 2.0)}, "2 numbers for 1 names"),
    ({"key": "\ud800"}, "key is not valid UTF-8"),
    ({"tenant": 1}, "tenant must be text"),
    ({"event_time_us": True}, "event_time_us must be an integer"),
    ({"outputs": (1,)}, "outputs must be floating-point"),
]
REF = {"dataset": "months", "version": 3}
REVIEW = {"model_id": "m", "version": "1.0.0", "decision": "approved", "approval_id": "a1"}
STORY: dict[str, tuple[str, str, Payload]] = {
    "dataset": ("registry.DatasetVersionRegistered", "zoë", {**REF, "digest": "d3"}),
    "run": ("registry.RunStarted", "zoë", {"run_id": "r1", "datasets": [{**REF, "digest": "d3"}]}),
    "version": (
        "registry.VersionRegistered", "zoë",
        {"model_id": "m", "version": "1.0.0", "run_id": "r1", "datasets": [REF],
         "artifact": {"path": "model.ubj", "digest": DIGEST}},
    ),
    "approval": ("registry.VersionReviewed", "bob", REVIEW),
    "sealed": ("serving.PredictionsSealed", "service:serving", {"log_id": "log", "count": 3, "root": ""}),
}  # fmt: skip


class Log:
    """A signed log of a story, of which proofs are made."""

    def __init__(
        self,
        key: PrivateKey,
        change: Callable[[dict[str, Payload]], object] = lambda _: None,
        prediction: PredictionRecord = PREDICTION,
        story: Mapping[str, tuple[str, str, Payload]] = STORY,
        **types: str,
    ) -> None:
        self.prediction = prediction
        self.segment = MerkleTree(MemoryHashStore())
        others = [prediction_hash(replace(PREDICTION, prediction_id=name)) for name in ("one", "two")]
        self.segment.extend([others[0], prediction_hash(prediction), others[1]])
        payloads: dict[str, Payload] = json.loads(json.dumps({name: told[2] for name, told in story.items()}))
        payloads["sealed"]["root"] = self.segment.root(3).hex()
        change(payloads)
        self.events = {
            name: EventRecord(
                n, f"e{n}", f"s-{n}", 1, types.get(name, kind), 1, "2026-01-01T00:00:00.000000+00:00",
                payloads[name].pop("tenant", "acme"), actor, "", "", "", json.dumps(payloads[name]).encode(),
            )
            for n, (name, (kind, actor, _)) in enumerate(story.items(), 1)
        }  # fmt: skip
        self.tree = MerkleTree(MemoryHashStore())
        self.tree.extend(map(event_hash, self.events.values()))
        self.note = sign_checkpoint(Checkpoint(key.name, self.tree.size, self.tree.root(self.tree.size)), key)

    def bundle(self, name: str) -> dict[str, object]:
        event = self.events[name]
        return make_bundle(event, self.tree.inclusion_proof(event.position - 1, self.tree.size), self.note)

    def proof(self, **lists: list[str]) -> str:
        lists = {"approvals": ["approval"], "run": ["run"], "datasets": ["dataset"], **lists}
        return make_prediction_proof(
            self.prediction, 1, self.segment.inclusion_proof(1, 3), sealed=self.bundle("sealed"),
            version=self.bundle("version"),
            **{name: [self.bundle(each) for each in names] for name, names in lists.items()},
        )  # fmt: skip


def a_step(number: int, before: str, after: str) -> tuple[str, str, Payload]:
    told = {
        "name": "flights", "model": "delay", "version": "1.0.0", "step": number, "registered_digest": DIGEST,
        "digest_before": before, "digest_after": after, "labels": {"digest": "e" * 64, "count": 100},
    }  # fmt: skip
    return "serving.ModelLearned", "service:serving", told


LEARNED = replace(PREDICTION, model_digest="c" * 64)
LESSONS = {
    **{name: told for name, told in STORY.items() if name != "sealed"},
    "first": a_step(1, DIGEST, "b" * 64),
    "second": a_step(2, "b" * 64, "c" * 64),
    "sealed": STORY["sealed"],
}
