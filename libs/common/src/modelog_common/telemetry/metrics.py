"""The metrics of every service process: their names and units, written down once (OpenTelemetry)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation
from opentelemetry.metrics._internal.instrument import Gauge

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader

METRICS_PATH = "/v1/metrics"
# Names and attributes follow OpenTelemetry's semantic conventions for RPC.
SERVER_CALL_DURATION = "rpc.server.call.duration"
ATTRIBUTE_METHOD = "rpc.method"
ATTRIBUTE_CODE = "rpc.response.status_code"
RELAY_LAG = "modelog.relay.lag"
CONSUMER_LAG = "modelog.consumer.lag"
REQUESTS_UNDER_WAY = "modelog.serving.requests_under_way"
LATENCY_P95 = "modelog.serving.latency_p95"
CACHE_FAILURES = "modelog.cache.failures"
ATTRIBUTE_OPERATION = "modelog.cache.operation"
ANSWER_CACHE_HITS = "modelog.serving.cache.hits"
ANSWER_CACHE_MISSES = "modelog.serving.cache.misses"
WORKER_REQUESTS = "modelog.serving.worker.requests"
ATTRIBUTE_WORKER = "modelog.worker"
ATTRIBUTE_TENANT = "modelog.tenant"
ATTRIBUTE_DEPLOYMENT = "modelog.deployment"
ATTRIBUTE_VERSION = "modelog.version"
RETRIES = "modelog.serving.retries"
FALLBACKS = "modelog.serving.fallbacks"
BREAKER_STATE = "modelog.serving.breaker.state"
ATTRIBUTE_REASON = "modelog.reason"
ATTRIBUTE_LOG = "modelog.log"
ATTRIBUTE_TOPIC = "messaging.destination.name"
ATTRIBUTE_CONSUMER = "messaging.consumer.group.name"


def configure(service: str, endpoint: str = "", readers: tuple[MetricReader, ...] = (), instance: str = "") -> None:
    """Collect metrics from now on for the `readers` and for the OTLP/HTTP `endpoint` (a base address), if any.

    `instance` tells processes of one service apart.

    OpenTelemetry keeps the first provider of a process. Where nobody reads, nothing is collected or loaded.
    """
    if not endpoint and not readers:
        return
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource

    if endpoint:
        # A quarter of a second, which only those pay who send.
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        exporter = OTLPMetricExporter(endpoint.rstrip("/") + METRICS_PATH)
        readers = (*readers, PeriodicExportingMetricReader(exporter))
    about = {SERVICE_NAME: f"modelog-{service}"} | ({SERVICE_INSTANCE_ID: instance} if instance else {})
    metrics.set_meter_provider(MeterProvider(readers, Resource.create(about)))


@cache
def server_call_duration() -> Histogram:
    """How long calls took on the server, in seconds, by method and status code."""
    return metrics.get_meter("modelog").create_histogram(
        SERVER_CALL_DURATION, unit="s", description="How long calls took on the server"
    )


@cache
def relay_lag() -> Gauge:
    """How many positions a log's publisher is behind the log's head, by log."""
    return metrics.get_meter("modelog").create_gauge(
        RELAY_LAG, unit="{position}", description="How far a publisher is behind its log"
    )


@cache
def consumer_lag() -> Gauge:
    """How many messages of a topic a consumer has not handled, by topic and consumer."""
    return metrics.get_meter("modelog").create_gauge(
        CONSUMER_LAG, unit="{message}", description="How far a consumer is behind its topic"
    )


@cache
def cache_failures() -> Counter:
    """How often a cache did not answer and was taken for empty, by operation."""
    return metrics.get_meter("modelog").create_counter(
        CACHE_FAILURES, unit="{failure}", description="How often a cache did not answer"
    )


@cache
def answer_cache_hits() -> Counter:
    """Requests that were answered from the cache, by tenant, deployment and version."""
    return metrics.get_meter("modelog").create_counter(
        ANSWER_CACHE_HITS, unit="{request}", description="Requests that were answered from the cache"
    )


@cache
def answer_cache_misses() -> Counter:
    """Requests whose answer was not in the cache, by tenant, deployment and version."""
    return metrics.get_meter("modelog").create_counter(
        ANSWER_CACHE_MISSES, unit="{request}", description="Requests whose answer was not in the cache"
    )


@cache
def retries() -> Counter:
    """How often a version was asked again for the same request, by tenant, deployment and version."""
    return metrics.get_meter("modelog").create_counter(
        RETRIES, unit="{retry}", description="Requests that were tried again"
    )


@cache
def fallbacks() -> Counter:
    """Requests that something else answered than the version they were for, by its name and the reason."""
    return metrics.get_meter("modelog").create_counter(
        FALLBACKS, unit="{request}", description="Requests that a fallback answered"
    )


def observe_all(
    name: str, unit: str, description: str, seen: Callable[[], Iterable[tuple[float, dict[str, str]]]]
) -> None:
    """A gauge of many things that is asked when it is read: values with the attributes of what each is of."""

    def look(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, dict(attributes)) for value, attributes in seen()]

    metrics.get_meter("modelog").create_observable_gauge(name, [look], unit=unit, description=description)


@cache
def worker_requests() -> Counter:
    """Requests of traffic that a worker process of serving answered or failed, by worker."""
    return metrics.get_meter("modelog").create_counter(
        WORKER_REQUESTS, unit="{request}", description="Requests that a worker process answered or failed"
    )


def observe(name: str, unit: str, description: str, seen: Callable[[], float | None]) -> None:
    """A gauge that is asked when it is read; None is left out."""

    def look(_options: CallbackOptions) -> Iterable[Observation]:
        value = seen()
        return [] if value is None else [Observation(value)]

    metrics.get_meter("modelog").create_observable_gauge(name, [look], unit=unit, description=description)
