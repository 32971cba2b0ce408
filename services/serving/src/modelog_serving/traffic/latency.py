"""Latencies in fixed buckets that grow by an eleventh of their size: small, bounded, and added up without loss.

The buckets are those of OpenTelemetry's exponential histogram at scale 3, which is Prometheus' native histogram with
schema 3: eight to each doubling, so that a quantile is at most 4.4 % off.
https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import msgspec

SCALE = 8
# From 8 microseconds to 131 seconds; what is quicker or slower is counted at the ends.
LOWEST, HIGHEST = -7 * SCALE, 17 * SCALE


class Latencies(msgspec.Struct, frozen=True):
    """Answers by latency: `counts[n]` took at most 2 ** ((first + n) / 8) ms, and more than the bucket before."""

    first: int = 0
    counts: tuple[int, ...] = ()


def bucket_of(latency_ms: float) -> int:
    """The number of the bucket that a latency falls into."""
    return LOWEST + bisect_left(_BOUNDS, latency_ms)


def upper_ms(bucket: int) -> float:
    """What latencies of a bucket do not exceed."""
    return float(2 ** (bucket / SCALE))


# Of all buckets but the last, which has all that is slower.
_BOUNDS = [upper_ms(bucket) for bucket in range(LOWEST, HIGHEST)]


def quantile_ms(buckets: Mapping[int, int], share: float) -> float | None:
    """So much of the answers, of 1, took no longer than this; None without an answer."""
    left = share * sum(buckets.values())
    for bucket in sorted(buckets):
        left -= buckets[bucket]
        if buckets[bucket] and left <= 0:
            return upper_ms(bucket)
    return None


def latencies_of(buckets: Mapping[int, int]) -> Latencies:
    """From counts by bucket to what is kept."""
    if not buckets:
        return Latencies()
    first, last = min(buckets), max(buckets)
    return Latencies(first, tuple(buckets.get(n, 0) for n in range(first, last + 1)))
