"""Traces that cross gRPC and Kafka: one provider a process, W3C `traceparent` on the wire (OpenTelemetry)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSequence
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind

TRACES_PATH = "/v1/traces"
tracer = trace.get_tracer("modelog")


def configure(service: str, endpoint: str = "") -> TracerProvider:
    """Make spans carry ids from now on; send them to the OTLP/HTTP `endpoint` (a base address) when there is one.

    A process has one provider: calling again adds the endpoint to the first one.
    """
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"modelog-{service}"}))
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
