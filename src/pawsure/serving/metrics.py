"""What the server counts, and how Prometheus reads it.

Counting costs an addition; the Prometheus client, which takes a tenth of a second to import,
is loaded when its page is first asked for.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# From a cache hit to the deadline, each about twice the one before.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_PICTURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Tally:
    """Counts, one for each combination of label values; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, ...]] = Counter()

    def add(self, *labels: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[labels] += 1

    def items(self) -> list[tuple[tuple[str, ...], int]]:
        """What was counted so far."""
        with self._lock:
            return sorted(self._counts.items())


class Histogram:
    """How values spread over buckets; from any thread."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take the upper bounds of the buckets, ascending."""
        self._bounds = bounds
        self._lock = threading.Lock()
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[bucket] += 1
            self._sum += value

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """Prometheus's form: (upper bound, count at most that) of each, and the sum."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        so_far = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
            so_far += count
            buckets.append((bound, so_far))
        return buckets, total


class Metrics:
    """Everything that is counted.

    Attributes:
        requests: by method, route and status.
        answers: pictures by what was answered.
        dropped: pictures whose client left before they were answered.
        request_s: seconds from a request's head to the end of its response.
        decode_s: seconds to decode a picture.
        model_s: seconds of a forward pass.
        batch_size: pictures in a forward pass.
        gauges: name to (what it is, what gives its value now).
    """

    def __init__(self) -> None:
        self.requests = Tally()
        self.answers = Tally()
        self.dropped = Tally()
        self.request_s = Histogram(_SECONDS)
        self.decode_s = Histogram(_SECONDS)
        self.model_s = Histogram(_SECONDS)
        self.batch_size = Histogram(_PICTURES)
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def exposition(self) -> tuple[bytes, str]:
        """The page that Prometheus reads, and its media type."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

        registry = CollectorRegistry()
        registry.register(_Collector(self))
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Collector:
    """Hands everything that is counted to the Prometheus client."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        metrics = self._metrics
        tallies: tuple[tuple[str, str, list[str], Tally], ...] = (
            ("requests", "Requests.", ["method", "route", "status"], metrics.requests),
            ("pictures", "Pictures by answer.", ["answer"], metrics.answers),
            ("pictures_dropped", "Pictures whose client left.", [], metrics.dropped),
        )
        for name, about, labels, tally in tallies:
            counter = CounterMetricFamily(f"pawsure_{name}", about, labels=labels)
            for values, count in tally.items():
                counter.add_metric(values, count)
            yield counter
        histograms = (
            ("request_seconds", "From a request's head to the end.", metrics.request_s),
            ("decode_seconds", "To decode one picture.", metrics.decode_s),
            ("model_seconds", "Of one forward pass.", metrics.model_s),
            ("batch_pictures", "Pictures in one forward pass.", metrics.batch_size),
        )
        for name, about, histogram in histograms:
            buckets, total = histogram.cumulative()
            yield HistogramMetricFamily(f"pawsure_{name}", about, buckets=buckets, sum_value=total)
        for name, (about, value) in metrics.gauges.items():
            yield GaugeMetricFamily(f"pawsure_{name}", about, value=value())
