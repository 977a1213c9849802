"""The time as the store keeps it and all processes share it, and as clients see it. For durations: `time.monotonic`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def clock_ms() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


def format_ms(milliseconds: int) -> str:
    """Milliseconds since the epoch as RFC 3339 in seconds, UTC."""
    return (_EPOCH + timedelta(seconds=milliseconds // 1000)).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_ms(text: str) -> int | None:
    """RFC 3339 as milliseconds since the epoch; None: it is no such time."""
    try:
        moment = datetime.fromisoformat(text.upper()) if _RFC_3339.fullmatch(text) else None
    except ValueError:
        return None
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)


def steady_seconds() -> float:
    """Seconds that go on whatever is done to the time of day, and while the machine sleeps (where it can be told)."""
    return time.clock_gettime(_STEADY)


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
