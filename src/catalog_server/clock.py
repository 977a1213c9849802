"""The time as the store keeps it and all processes share it. For durations use `time.monotonic`."""

from __future__ import annotations

import time


def clock_ms() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)
