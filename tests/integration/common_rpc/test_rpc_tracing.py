"""One trace and one correlation id over all the services that take part in an answer; logs and metrics of each call."""

from __future__ import annotations

from collections import Counter

import grpc.aio
import pytest
import structlog
from modelog_common.domain.errors import NotFound
from modelog_common.rpc.call import Call, calling
from modelog_common.rpc.errors import PeerFailed
from modelog_common.security.tokens import Identity
from modelog_common.telemetry import metrics, traces
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind, StatusCode

REQUEST = pb.GetModelRequest(name="m")
METHOD = "modelog.registry.v1.ModelRegistry/GetModel"


async def test_the_trace_goes_from_client_to_server(served, spans) -> None:
    with traces.span("outermost"):
        await served.registry().GetModel(REQUEST)
        trace_id = traces.trace_id()
    assert served.models.calls[0].trace_id == trace_id
    ended = {span.kind: span for span in spans.get_finished_spans() if span.name == METHOD}
    outermost = next(s for s in spans.get_finished_spans() if s.name == "outermost")
    assert ended[SpanKind.SERVER].parent.span_id == ended[SpanKind.CLIENT].context.span_id
    assert ended[SpanKind.CLIENT].parent.span_id == outermost.context.span_id


async def test_a_foreign_clients_traceparent_is_taken_up(served, spans) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = (
        ("authorization", f"Bearer {served.token()}"),
        ("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"),
        ("x-correlation-id", "c" * 300),
        ("x-request-id", "r-7"),
    )
    async with grpc.aio.insecure_channel(served.address) as channel:
        await ModelRegistryStub(channel).GetModel(REQUEST, metadata=metadata)
    (call,) = served.models.calls
    assert (call.trace_id, call.correlation_id, call.request_id) == (trace_id, "c" * 100, "r-7")


async def test_an_error_is_seen_in_the_trace(served, spans) -> None:
    served.models.answer = lambda _: 1 / 0
    with pytest.raises(Exception, match="internal error"):
        await served.registry().GetModel(REQUEST)
    status = {span.kind: span.status.status_code for span in spans.get_finished_spans() if span.name == METHOD}
    assert status[SpanKind.CLIENT] is StatusCode.ERROR


async def chain(start, **second_channel):
    """Two servers of one platform; the first one's handler asks the second. (first, second)"""
    first = await start()
    second = await start(key=first.key)
    onward = second.registry(first.token("service", user="service:first"), **second_channel)

    async def ask(request):
        return await onward.GetModel(request)

    first.models.answer = ask
    return first, second


async def test_the_next_service_is_asked_in_the_callers_name(start, spans) -> None:
    first, second = await chain(start)
    await first.registry(first.token("viewer", user="bob")).GetModel(REQUEST)
    (asked,), (onward,) = first.models.calls, second.models.calls
    assert onward.identity == Identity("bob", "acme", frozenset({"viewer"}))
    assert onward.correlation_id == asked.correlation_id
    assert onward.trace_id == asked.trace_id != ""


async def test_a_channel_may_keep_to_the_services_own_name(start) -> None:
    first, second = await chain(start, forward=False)
    await first.registry().GetModel(REQUEST)
    assert second.models.calls[0].identity.user == "service:first"
    assert second.models.calls[0].correlation_id == first.models.calls[0].correlation_id


async def test_an_error_passes_through_two_services_unchanged(start) -> None:
    first, second = await chain(start)
    second.models.answer = lambda _: NotFound("no model m")
    with pytest.raises(NotFound, match=r"^no model m$"):
        await first.registry().GetModel(REQUEST)


async def test_a_failure_two_services_away_names_the_log_that_has_it(start, lines) -> None:
    first, second = await chain(start)
    second.models.answer = lambda _: KeyError("secret")
    with pytest.raises(PeerFailed) as error:
        await first.registry().GetModel(REQUEST)
    (failed,) = await lines.wait_for("call failed")
    assert failed["correlation_id"] in str(error.value)


async def test_a_call_made_current_by_hand_is_forwarded_too(served) -> None:
    bob = Identity("bob", "acme", frozenset({"viewer"}))
    registry = served.registry(served.token(user="service:gateway"))
    with calling(Call(bob, "c-9", token=served.token("viewer", user="bob"))):
        await registry.GetModel(REQUEST)
    with calling(Call(bob, "c-10", token="")):
        await registry.GetModel(REQUEST)
    seen = [(c.identity.user, c.correlation_id) for c in served.models.calls]
    assert seen == [("bob", "c-9"), ("service:gateway", "c-10")]


async def test_metadata_of_the_call_itself_comes_first(served) -> None:
    metadata = (("x-correlation-id", "mine"), ("authorization", f"Bearer {served.token(user='carol')}"))
    await served.registry().GetModel(REQUEST, metadata=metadata)
    (call,) = served.models.calls
    assert (call.correlation_id, call.identity.user) == ("mine", "carol")


async def test_each_call_leaves_one_line(served, lines, spans) -> None:
    await served.registry().GetModel(REQUEST)
    (line,) = await lines.wait_for("call")
    assert line.pop("latency_ms") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call",
        "level": "info",
        "service": "tests",
        "method": METHOD,
        "code": "OK",
        "user": "alice",
        "tenant": "acme",
        "correlation_id": served.models.calls[0].correlation_id,
        "trace_id": served.models.calls[0].trace_id,
    }


async def test_what_a_handler_logs_carries_the_ids_of_its_call(served, lines, spans) -> None:
    served.models.answer = lambda _: structlog.get_logger().info("looking", model="m")
    await served.registry().GetModel(REQUEST)
    (line,) = await lines.wait_for("looking")
    (call,) = served.models.calls
    assert (line["correlation_id"], line["trace_id"]) == (call.correlation_id, call.trace_id)


@pytest.fixture(scope="session")
def reader() -> InMemoryMetricReader:
    """OpenTelemetry keeps the first provider of a process: all tests read with one."""
    made = InMemoryMetricReader()
    metrics.configure("tests", readers=(made,))
    return made


def counted(reader: InMemoryMetricReader) -> Counter[str]:
    data = reader.get_metrics_data()
    if data is None:
        return Counter()
    # Whatever else this process has measured is there, too.
    found = data.resource_metrics[0].scope_metrics[0].metrics
    (metric,) = [each for each in found if each.name == "rpc.server.call.duration"] or [None]
    if metric is None:
        return Counter()
    assert metric.unit == "s"
    counts: Counter[str] = Counter()
    for point in metric.data.data_points:
        counts[point.attributes["rpc.response.status_code"]] += point.count
    return counts


async def test_calls_are_measured_by_method_and_code(served, lines, reader) -> None:
    before = counted(reader)
    await served.registry().GetModel(REQUEST)
    served.models.answer = lambda _: NotFound("no")
    with pytest.raises(NotFound):
        await served.registry().GetModel(REQUEST)
    await lines.wait_for("call", 2)
    assert counted(reader) - before == {"OK": 1, "NOT_FOUND": 1}
