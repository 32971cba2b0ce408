"""Traces that cross gRPC and Kafka: one provider a process, W3C `traceparent` on the wire (OpenTelemetry)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, MutableSequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer
from opentelemetry.util.types import Attributes

TRACES_PATH = "/v1/traces"
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# Of whichever provider the process gets; made once, and not for each span.
_recorded = trace.get_tracer("modelog")


class Provider(TracerProvider):
    """The SDK's, which knows whether anybody is told of its spans."""

    told = False

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        super().add_span_processor(span_processor)
        self.told = True


class LightTracer(Tracer):
    """Spans that only carry ids as long as nobody is told of them: the SDK's cost three times as much.

    What `configure` did, or did not, counts when a span begins.
    """

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        provider = trace.get_tracer_provider()
        if not isinstance(provider, Provider) or provider.told:
            return _recorded.start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        parent = trace.get_current_span(context).get_span_context()
        number, flags = (parent.trace_id, parent.trace_flags) if parent.is_valid else (_bits(128), SAMPLED)
        return NonRecordingSpan(SpanContext(number, _bits(64), False, flags, parent.trace_state))

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        started = self.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        with trace.use_span(started, end_on_exit, record_exception, set_status_on_exception):
            yield started


def _bits(count: int) -> int:
    return random.getrandbits(count) or 1


tracer: Tracer = LightTracer()


def configure(service: str, endpoint: str = "") -> TracerProvider:
    """Make spans carry ids from now on; send them to the OTLP/HTTP `endpoint` (a base address) when there is one.

    A process has one provider: calling again adds the endpoint to the first one.
    """
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = Provider(resource=Resource.create({SERVICE_NAME: f"modelog-{service}"}))
        trace.set_tracer_provider(provider)
    if endpoint:
        # A quarter of a second, which only those pay who send.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint.rstrip("/") + TRACES_PATH)))
    return provider


@contextmanager
def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, parent: Context | None = None, **attributes: str | int | float
) -> Iterator[Span]:
    """Run a block inside a span, a child of `parent` (what `extract` gave) or of the current one."""
    with tracer.start_as_current_span(name, parent, kind, attributes) as started:
        yield started


def trace_id() -> str:
    """The current trace's id, 32 hexadecimal digits; empty outside a trace."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def inject(headers: MutableSequence[tuple[str, bytes]]) -> None:
    """Add the current trace to a Kafka message's headers; adds nothing outside a trace."""
    headers.extend((name, value.encode()) for name, value in carrier().items())


def extract(headers: Iterable[tuple[str, bytes | str | None]]) -> Context:
    """The trace that a message's or call's headers carry; headers of another form are ignored."""
    found = {name.lower(): _text(value) for name, value in headers if value is not None}
    return propagate.extract(found, context=Context())


def carrier(context: Context | None = None) -> dict[str, str]:
    """The headers that carry a trace (the current one): `traceparent`, with `tracestate` and `baggage` if any."""
    found: dict[str, str] = {}
    propagate.inject(found, context)
    return found


def _text(value: bytes | str) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
