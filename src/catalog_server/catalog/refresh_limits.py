"""How often people may ask for a refresh: once in 30 s for each source, and once for all sources of a plugin.

Per process: what really protects a remote source is the queue, in which a refresh is live once only.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from catalog_server.errors import RateLimited, Unavailable
from catalog_server.scope import Scope

INTERVAL_SECONDS: Final = 30.0
ALL: Final = "*"
_MAX_KEYS: Final = 10_000
Key = tuple[str, str, str]


class RefreshLimits:
    """A budget of one refresh per interval and key. Safe to use from several threads."""

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._taken: dict[Key, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, scope: Scope, plugin: str, source_id: str | None) -> Iterator[None]:
        """For one refresh; given back when it did not come about because something was Unavailable.

        Raises:
            RateLimited: the interval is not over; says what is left of it.
        """
        self._take(scope, plugin, source_id)
        try:
            yield
        except Unavailable:
            with self._lock:
                self._taken.pop(_key(scope, plugin, source_id), None)
            raise

    def _take(self, scope: Scope, plugin: str, source_id: str | None) -> None:
        key, now = _key(scope, plugin, source_id), self._clock()
        with self._lock:
            left = self._taken.get(key, now - self._interval_seconds) + self._interval_seconds - now
            if left > 0:
                seconds = math.ceil(left)
                raise RateLimited(f"rate limited, retry after {seconds} seconds", retry_after_seconds=seconds)
            if len(self._taken) >= _MAX_KEYS:
                self._taken = {one: at for one, at in self._taken.items() if at + self._interval_seconds > now}
            self._taken[key] = now


def _key(scope: Scope, plugin: str, source_id: str | None) -> Key:
    return scope.namespace, plugin, source_id or ALL
