"""Traces over Kafka: an event goes on in the trace of the request that made it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind

from modelog_common.bus.envelope import Received
from modelog_common.events.store import StoredEvent
from modelog_common.telemetry import traces

TRACEPARENT = "traceparent"
MOST_LINKS = 100
_TRACE_ID = re.compile("[0-9a-f]{32}")


def trace_headers(event: StoredEvent) -> dict[str, str]:
    """W3C `traceparent` of an event: its trace's id, with the first 64 bits of the event's id in the span's place.

    The event log keeps the trace's id and no span's; one that is made of the event's id stays the same at every
    publication.
    """
    parent = event.id.replace("-", "")[:16].lower()
    if not _TRACE_ID.fullmatch(event.trace_id) or not re.fullmatch("[0-9a-f]{16}", parent):
        return {}
    return {TRACEPARENT: f"00-{event.trace_id}-{parent}-01"}


@contextmanager
def handling(topic: str, consumer: str, messages: Sequence[Received]) -> Iterator[None]:
    """A span around the handling of a batch: in its messages' trace when they share one, else linked to each."""
    distinct = dict.fromkeys(m.headers[TRACEPARENT] for m in messages if TRACEPARENT in m.headers)
    contexts = [traces.extract([(TRACEPARENT, value)]) for value in list(distinct)[:MOST_LINKS]]
    spans = [trace.get_current_span(c).get_span_context() for c in contexts]
    one = len({s.trace_id for s in spans}) == 1 and len(distinct) <= MOST_LINKS
    with traces.tracer.start_as_current_span(
        f"{topic} process",
        contexts[-1] if one else None,
        SpanKind.CONSUMER,
        {
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": consumer,
            "messaging.batch.message_count": len(messages),
        },
        [] if one else [Link(s) for s in spans if s.is_valid],
    ):
        yield
