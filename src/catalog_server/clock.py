"""The time as the store keeps it and all processes share it. For durations use `time.monotonic`."""

from __future__ import annotations

import time


def clock_ms() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


def steady_seconds() -> float:
    """Seconds that go on whatever is done to the time of day, and while the machine sleeps (where it can be told)."""
    return time.clock_gettime(_STEADY)


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
