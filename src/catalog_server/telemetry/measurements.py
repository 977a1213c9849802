"""What is counted while the server works, as plain numbers: recording costs every request, reading only a scrape.

Not for: names, help texts and forms of metrics (bootstrap/metrics.py), nor how they are served (exposition.py).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

REQUEST_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds; those that OpenTelemetry advises for `http.server.request.duration`."""
REFRESH_BOUNDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds: from a small file to a hub that is slow."""

Labels = tuple[str | int, ...]
"""Values, in the order of the metric's label names. Only what has few values by construction may be one."""


class Series(NamedTuple):
    """`counts[i]` fell under the bound i, and not under the one before; the last one over all bounds."""

    counts: tuple[int, ...]
    total_seconds: float


class Durations:
    """How long things took, in buckets, by labels. Thread-safe."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._lock = threading.Lock()
        self._counts: dict[Labels, list[int]] = {}
        self._totals: dict[Labels, float] = {}

    def add(self, labels: Labels, seconds: float) -> None:
        with self._lock:
            counts = self._counts.get(labels)
            if counts is None:
                counts = self._counts[labels] = [0] * (len(self.bounds) + 1)
                self._totals[labels] = 0.0
            counts[bisect_left(self.bounds, seconds)] += 1
            self._totals[labels] += seconds

    def read(self) -> dict[Labels, Series]:
        with self._lock:
            return {labels: Series(tuple(counts), self._totals[labels]) for labels, counts in self._counts.items()}


class Tally:
    """How often things happened, by labels. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Labels, int] = {}

    def add(self, *labels: str | int) -> None:
        with self._lock:
            self._counts[labels] = self._counts.get(labels, 0) + 1

    def read(self) -> dict[Labels, int]:
        with self._lock:
            return dict(self._counts)


@dataclass(slots=True)
class Measurements:
    """All of one server. Names of the labels in brackets."""

    requests: Durations = field(default_factory=lambda: Durations(REQUEST_BOUNDS))
    """(method, route, status code, scheme)"""
    cache: Counter[Labels] = field(default_factory=Counter)
    """(cache, result). Written by the event loop only, and for each read: so without a lock, or a call."""
    decisions: Counter[Labels] = field(default_factory=Counter)
    """(result). Written by the event loop only."""
    reviews: Tally = field(default_factory=Tally)
    """(result)"""
    refreshes: Durations = field(default_factory=lambda: Durations(REFRESH_BOUNDS))
    """(plugin, result)"""
    active_requests: int = 0
    """How many are being answered now. Written by the event loop only."""
