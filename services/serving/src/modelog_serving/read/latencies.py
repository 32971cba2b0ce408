"""From the windows of a deployment's traffic to rows, and to the histograms that are answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Change, Put
from modelog_proto.serving.v1 import deployment_pb2 as pb

from modelog_serving.events import EVENTS
from modelog_serving.predlog.writer import micros
from modelog_serving.read.tables import TRAFFIC
from modelog_serving.traffic.events import TrafficMeasured, VersionTraffic
from modelog_serving.traffic.latency import quantile_ms, upper_ms
from modelog_serving.traffic.state import Traffic

_VERSIONS = msgspec.json.Decoder(tuple[VersionTraffic, ...])


@dataclass
class Histogram:
    """Answers by bucket, and requests without one."""

    errors: int = 0
    buckets: Counter[int] = field(default_factory=Counter)


def traffic_rows(_traffic: Traffic, stored: StoredEvent) -> Sequence[Change]:
    """The row of a window."""
    event: TrafficMeasured = EVENTS.decode(stored.type, stored.schema, stored.payload)
    key = {"window_id": f"{event.deployment_id}/{stored.version}"}
    values = {"deployment": event.name, "ends_us": micros(event.end)}
    return [Put(TRAFFIC, key, msgspec.json.encode(event.versions), values)]


def versions_in(body: bytes) -> tuple[VersionTraffic, ...]:
    """What a row holds."""
    return _VERSIONS.decode(body)


def histograms(windows: Iterable[VersionTraffic]) -> list[pb.VersionLatencies]:
    """Windows of versions, added up and by version."""
    found: dict[str, Histogram] = {}
    for window in windows:
        histogram = found.setdefault(window.version, Histogram())
        histogram.errors += window.errors
        first = window.latencies.first
        histogram.buckets.update({first + n: count for n, count in enumerate(window.latencies.counts) if count})
    return [_message(version, histogram) for version, histogram in sorted(found.items())]


def _message(version: str, histogram: Histogram) -> pb.VersionLatencies:
    buckets = histogram.buckets
    return pb.VersionLatencies(
        version=version,
        answered=buckets.total(),
        errors=histogram.errors,
        buckets=[pb.LatencyBucket(upper_ms=upper_ms(n), count=buckets[n]) for n in sorted(buckets)],
        p50_ms=quantile_ms(buckets, 0.5) or 0.0,
        p99_ms=quantile_ms(buckets, 0.99) or 0.0,
    )
