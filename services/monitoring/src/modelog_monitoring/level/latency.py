"""Latencies in the buckets that serving counts them in: eight to each doubling, so a quantile is 4.4 % off at most.

They are those of OpenTelemetry's exponential histogram at scale 3 and of Prometheus' native histogram with schema 3.
https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
"""

from __future__ import annotations

import math

import msgspec

SCALE = 8


class Latencies(msgspec.Struct, frozen=True):
    """Answers by latency: `counts[n]` took at most 2 ** ((first + n) / 8) ms, and more than the bucket before."""

    first: int = 0
    counts: tuple[int, ...] = ()

    @property
    def answers(self) -> int:
        return sum(self.counts)

    def slower_than(self, target_ms: float) -> int:
        """Answers that took longer, to the bucket: those in the target's own bucket, up to 9 % above it, do not count.

        A target of nothing is missed by every answer.
        """
        if target_ms <= 0:
            return self.answers
        own = math.ceil(math.log2(target_ms) * SCALE)
        return sum(self.counts[max(0, own - self.first + 1) :])

    def quantile_ms(self, share: float) -> float | None:
        """The latency that this share of the answers did not exceed: the middle of its bucket; None without answers."""
        wanted, seen = share * self.answers, 0
        for n, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return float(2 ** ((self.first + n - 0.5) / SCALE))
        return None

    def __add__(self, other: Latencies) -> Latencies:
        if not self.counts or not other.counts:
            return self if self.counts else other
        first = min(self.first, other.first)
        last = max(self.first + len(self.counts), other.first + len(other.counts))
        counts = [0] * (last - first)
        for part in (self, other):
            for n, count in enumerate(part.counts, part.first - first):
                counts[n] += count
        return Latencies(first, tuple(counts))
