"""What an event looks like on Kafka is a contract with everybody who reads the topics."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from modelog_common.bus.envelope import (
    POSITION,
    Poison,
    Received,
    counted_headers,
    source_of_service,
    to_entry,
    to_event,
)
from modelog_common.events.store import StoredEvent

EVENT = StoredEvent(
    position=17,
    id="018f-a",
    stream="registry.model-42",
    version=3,
    type="registry.VersionPromoted",
    schema=2,
    recorded_at=datetime(2026, 11, 24, 9, 30, 0, 123456, UTC),
    tenant="acme",
    actor="zoë",
    correlation_id="c1",
    causation_id="",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    payload=b'{"stage":"production"}',
)
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "018f-a",
    "ce_type": "registry.VersionPromoted",
    "ce_time": "2026-11-24T09:30:00.123456+00:00",
    "ce_subject": "registry.model-42",
    "ce_stream": "registry.model-42",
    "ce_version": "3",
    "ce_schema": "2",
    "ce_tenant": "acme",
    "ce_actor": "zoë",
    "ce_correlationid": "c1",
    "ce_causationid": "",
    "ce_traceid": "4bf92f3577b34da6a3ce929d0e0e4736",
    "content-type": "application/json",
}


def received(headers: dict[str, str], position: int = 17) -> Received:
    raw = {name: value.encode() for name, value in headers.items()}
    return Received("t", 0, 5, b"registry.model-42", EVENT.payload, raw, "/modelog/registry", position, 16)


def test_an_event_becomes_a_cloudevent_in_binary_mode() -> None:
    entry = to_entry(EVENT)
    assert dict(entry.headers) == HEADERS
    assert (entry.position, entry.key, entry.value) == (17, b"registry.model-42", b'{"stage":"production"}')
    assert counted_headers(source_of_service("registry"), 17, 16, fence=3) == {
        "ce_source": "/modelog/registry",
        "ce_position": "17",
        "ce_previous": "16",
        "ce_fence": "3",
    }


def test_the_message_gives_the_event_back() -> None:
    assert to_event(received(HEADERS)) == EVENT


@pytest.mark.parametrize(
    ("headers", "position", "reason"),
    [
        ({k: v for k, v in HEADERS.items() if k != "ce_type"}, 17, "header 'ce_type' is missing"),
        (HEADERS | {"ce_version": "three"}, 17, "not an event: invalid literal for int"),
        (HEADERS | {"ce_time": "yesterday"}, 17, "not an event: Invalid isoformat string"),
        (HEADERS | {"ce_specversion": "2.0"}, 17, "not an event: ce_specversion is '2.0', not 1.0"),
        (HEADERS, 0, f"not an event: {POSITION} is missing"),
    ],
)
def test_what_is_no_event_is_poison(headers: dict[str, str], position: int, reason: str) -> None:
    with pytest.raises(Poison) as caught:
        to_event(received(headers, position))
    assert caught.value.reason.startswith(reason)
    assert str(caught.value).startswith("t[0]@5: ")
