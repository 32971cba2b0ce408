"""Handling a message goes on in the trace of the request that made the event."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from modelog_common.bus.envelope import Received
from modelog_common.bus.tracing import handling, trace_headers
from modelog_common.events.store import StoredEvent
from modelog_common.telemetry import traces
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "00f067aa0ba902b74bf92f3577b34da6"


def event(trace_id: str = TRACE, event_id: str = "018f3b2a-1c2d-7e4f-8a9b-0c1d2e3f4a5b") -> StoredEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredEvent(1, event_id, "a.b-1", 1, "a.B", 1, at, "t", "u", "", "", trace_id, b"{}")


def message(stored: StoredEvent) -> Received:
    headers = {name: value.encode() for name, value in trace_headers(stored).items()}
    return Received("t", 0, 0, b"", b"", headers)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def handled(spans: InMemorySpanExporter, *messages: Received) -> ReadableSpan:
    with handling("modelog.events.registry", "lineage", messages):
        assert traces.trace_id()
    (span,) = spans.get_finished_spans()
    return span


def test_an_events_trace_stands_in_its_headers() -> None:
    assert trace_headers(event()) == {"traceparent": f"00-{TRACE}-018f3b2a1c2d7e4f-01"}


@pytest.mark.parametrize("stored", [event(trace_id=""), event(trace_id="x" * 32), event(event_id="first")])
def test_an_event_outside_a_trace_has_no_such_header(stored: StoredEvent) -> None:
    assert trace_headers(stored) == {}


def test_handling_events_of_one_request_is_part_of_its_trace(spans: InMemorySpanExporter) -> None:
    span = handled(spans, message(event()), message(event(event_id="018f3b2a-1c2d-7e4f-8a9b-0c1d2e3f4a5c")))
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == "018f3b2a1c2d7e4f"
    assert span.name == "modelog.events.registry process"
    assert (span.attributes or {})["messaging.batch.message_count"] == 2


def test_handling_events_of_many_requests_is_linked_to_each(spans: InMemorySpanExporter) -> None:
    span = handled(spans, message(event()), message(event(OTHER)), message(event("")))
    assert span.parent is None
    assert {f"{link.context.trace_id:032x}" for link in span.links} == {TRACE, OTHER}


def test_handling_messages_without_traces_begins_one(spans: InMemorySpanExporter) -> None:
    span = handled(spans, message(event("")))
    assert (span.parent, list(span.links)) == (None, [])
