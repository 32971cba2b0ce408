"""The metrics of every service process: their names and units, written down once (OpenTelemetry)."""

from __future__ import annotations

from functools import cache

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource

METRICS_PATH = "/v1/metrics"
# Names and attributes follow OpenTelemetry's semantic conventions for RPC.
SERVER_CALL_DURATION = "rpc.server.call.duration"
ATTRIBUTE_METHOD = "rpc.method"
ATTRIBUTE_CODE = "rpc.response.status_code"


def configure(service: str, endpoint: str = "", readers: tuple[MetricReader, ...] = ()) -> MeterProvider:
    """Collect metrics from now on; send them to the OTLP/HTTP `endpoint` (a base address) when there is one.

    OpenTelemetry keeps the first provider of a process.
    """
    if endpoint:
        exporter = OTLPMetricExporter(endpoint.rstrip("/") + METRICS_PATH)
        readers = (*readers, PeriodicExportingMetricReader(exporter))
    provider = MeterProvider(readers, Resource.create({SERVICE_NAME: f"modelog-{service}"}))
    metrics.set_meter_provider(provider)
    return provider


@cache
def server_call_duration() -> Histogram:
    """How long calls took on the server, in seconds, by method and status code."""
    return metrics.get_meter("modelog").create_histogram(
        SERVER_CALL_DURATION, unit="s", description="How long calls took on the server"
    )
