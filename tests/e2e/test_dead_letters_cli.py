"""`modelog events dead`: what a consumer refused is listed, shown and given back, while everything else goes on."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer
from modelog_proto.serving.v1.data_pb2 import OutcomeBatch
from running_platform import SERVICES, RunningPlatform, until


def test_dead_letters_are_listed_shown_and_replayed(platform: RunningPlatform) -> None:
    producer_id = f"airport-{uuid4()}"
    batch = OutcomeBatch(
        deployment="flights", producer=producer_id, sequence=1, prediction_ids=["x"], labels=[0.5], event_times_us=[1]
    )
    with platform.client() as admin:
        topic = admin.topic_progress("outcomes", producer_id).topic
    assert topic == "modelog.default.outcomes"
    producer = Producer({"bootstrap.servers": platform.endpoints["kafka"]})
    producer.produce(topic, batch.SerializeToString(), key=producer_id.encode())
    assert producer.flush(60) == 0

    def listed() -> list[dict[str, Any]]:
        with platform.client() as admin:
            found = [d for d in admin.dead_letters.list() if admin.dead_letters.get(d.id).value.find(b"airport") > 0]
            mine = [d for d in found if producer_id.encode() in admin.dead_letters.get(d.id).value]
            return [d.to_dict() for d in mine]

    (letter,) = until("the batch is refused", listed)
    assert letter["id"] in platform.cli("events", "dead", "list").stdout
    (as_json,) = (d for d in platform.json("events", "dead", "list") if d["id"] == letter["id"])
    assert (as_json["service"], as_json["consumer"], as_json["topic"]) == ("monitoring", "monitoring.data", topic)
    assert as_json["reason"] == "labels holds 0.5; labels are 0 or 1, other numbers are amounts"
    assert producer_id in platform.cli("events", "dead", "show", letter["id"]).stdout
    refused = platform.cli("events", "dead", "replay", letter["id"], exit_status=1)
    assert "monitoring.data refused it again (attempt 2): labels holds 0.5" in refused.stderr
    (again,) = (d for d in platform.json("events", "dead", "list") if d["id"] == letter["id"])
    assert (again["state"], again["attempts"]) == ("dead", 2)
    unknown = platform.cli("events", "dead", "show", "nobody-1", exit_status=1)
    assert "there is no dead letter 'nobody-1'" in unknown.stderr
    help_text = platform.cli("events", "dead", "replay", "--help").stdout
    assert "modelog events dead replay" in help_text


def test_the_status_says_what_is_published_and_read_and_how_far_behind(platform: RunningPlatform) -> None:
    def streams() -> dict[str, list[dict[str, Any]]]:
        done = platform.cli("status", "--json", exit_status=None)
        return {s["service"]: s["status"].get("streams", []) for s in json.loads(done.stdout) if s.get("status")}

    def settled() -> dict[str, list[dict[str, Any]]]:
        found = streams()
        behind = any(stream.get("lag") for of_service in found.values() for stream in of_service)
        # A service that a busy machine keeps from answering is left out.
        return {} if behind or len(found) < len(SERVICES) else found

    all_streams = until("nothing is behind", settled)
    found = {(service, s["name"], s["topic"]) for service, of_service in all_streams.items() for s in of_service}
    assert ("registry", "relay", "events.registry") in found
    assert ("monitoring", "monitoring.inbox", "events.training") in found
    assert ("monitoring", "monitoring.data", "outcomes") in found
    assert ("lineage", "lineage.graph", "events.gateway") in found
    assert ("serving", "serving.requests", "inference.requests") in found
