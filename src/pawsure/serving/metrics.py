"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

# From a 304 to the deadline, each about twice the one before.
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_PICTURES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counters and histograms of one server; they may be used from any thread.

    Attributes:
        requests: by method, route and status.
        answers: pictures by answer.
        dropped: pictures whose client left before the answer.
        request_s: seconds from a request's head to the end of its response.
        decode_s: seconds to decode a picture.
        model_s: seconds of a forward pass.
        batch_size: pictures in a forward pass.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # a second series of each metric, which only OpenMetrics uses
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "pawsure_requests", "Requests.", ["method", "route", "status"], registry=registry
        )
        self.answers = Counter(
            "pawsure_pictures", "Pictures by answer.", ["answer"], registry=registry
        )
        self.dropped = Counter(
            "pawsure_pictures_dropped", "Pictures whose client left.", registry=registry
        )

        def histogram(name: str, about: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
            return Histogram(f"pawsure_{name}", about, registry=registry, buckets=buckets)

        self.request_s = histogram("request_seconds", "From a request's head to the end.")
        self.decode_s = histogram("decode_seconds", "To decode one picture.")
        self.model_s = histogram("model_seconds", "Of one forward pass.")
        self.batch_size = histogram("batch_pictures", "Pictures in one forward pass.", _PICTURES)

    def gauge(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Add a metric whose value is computed when it is read."""
        Gauge(f"pawsure_{name}", about, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format 0.0.4."""
        return generate_latest(self._registry)
