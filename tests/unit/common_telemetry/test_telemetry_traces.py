"""Traces cross Kafka headers, survive foreign ones, and reach an OTLP endpoint; so do metrics."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from modelog_common.telemetry import traces
from opentelemetry import trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def configured() -> TracerProvider:
    return traces.configure("tests")


@pytest.fixture
def told(configured: TracerProvider) -> None:
    """Somebody is told of the spans."""
    configured.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))


@pytest.fixture
def untold(configured: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told of the spans."""
    monkeypatch.setattr(configured, "told", False, raising=False)


def test_a_trace_goes_on_at_the_other_end_of_a_topic(told: None) -> None:
    headers: list[tuple[str, bytes]] = [("ce_type", b"x")]
    with traces.span("produce") as sent:
        traces.inject(headers)
        before = traces.trace_id()
    assert traces.trace_id() == ""
    assert [name for name, _ in headers] == ["ce_type", "traceparent"]
    with traces.span("consume", parent=traces.extract(headers), rows=3) as received:
        assert traces.trace_id() == before
        assert received.parent.span_id == sent.get_span_context().span_id  # type: ignore[attr-defined]
        assert received.attributes["rows"] == 3  # type: ignore[attr-defined]


def test_a_trace_of_which_nobody_is_told_goes_on_as_well(untold: None) -> None:
    headers: list[tuple[str, bytes]] = []
    with traces.span("produce") as sent:
        traces.inject(headers)
        assert not sent.is_recording()
        assert dict(headers)["traceparent"].endswith(b"-01")
        before = traces.trace_id()
        with traces.span("inner") as inner:
            assert traces.trace_id() == before
            assert inner.get_span_context().span_id != sent.get_span_context().span_id
    with traces.span("consume", parent=traces.extract(headers)):
        assert traces.trace_id() == before
    assert traces.trace_id() == ""


def test_what_the_caller_does_not_sample_stays_so_where_nobody_is_told(untold: None) -> None:
    with traces.span("consume", parent=traces.extract([("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00")])):
        assert traces.carrier()["traceparent"].startswith(f"00-{TRACE}-")
        assert traces.carrier()["traceparent"].endswith("-00")


def test_outside_a_trace_no_header_is_added() -> None:
    headers: list[tuple[str, bytes]] = []
    traces.inject(headers)
    assert headers == []


@pytest.mark.parametrize("value", [b"", b"garbage", b"\xff\xfe", None, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"])
def test_headers_that_carry_no_trace_start_a_new_one(value: bytes | None) -> None:
    with traces.span("consume", parent=traces.extract([("traceparent", value)])):
        assert len(traces.trace_id()) == 32


def test_what_is_extracted_does_not_depend_on_where_we_are() -> None:
    with traces.span("elsewhere"):
        parent = traces.extract([("Traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")])
        assert trace.get_current_span(parent).get_span_context().trace_id == int(TRACE, 16)
        assert not trace.get_current_span(traces.extract([])).get_span_context().is_valid


class Collector(HTTPServer):
    """Keeps what is exported to it: path -> bodies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Received)
        self.got: dict[str, list[bytes]] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Received(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.setdefault(self.path, []).append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


# In a process of its own, because a process has one provider and exports what is left when it ends.
EXPORTING = """
import sys
from modelog_common.telemetry import metrics, traces
traces.configure("registry", sys.argv[1])
provider = metrics.configure("registry", sys.argv[1] + "/")
with traces.span("work"):
    metrics.server_call_duration().record(0.25, {metrics.ATTRIBUTE_METHOD: "x"})
"""


def test_spans_and_metrics_reach_the_endpoint_at_the_latest_when_the_process_ends(collector: Collector) -> None:
    subprocess.run([sys.executable, "-c", EXPORTING, collector.endpoint], check=True, timeout=180)
    spans = ExportTraceServiceRequest.FromString(collector.got["/v1/traces"][0]).resource_spans[0]
    assert [s.name for s in spans.scope_spans[0].spans] == ["work"]
    named = {a.key: a.value.string_value for a in spans.resource.attributes}
    assert named["service.name"] == "modelog-registry"
    measured = ExportMetricsServiceRequest.FromString(collector.got["/v1/metrics"][0]).resource_metrics[0]
    assert [m.name for m in measured.scope_metrics[0].metrics] == ["rpc.server.call.duration"]
