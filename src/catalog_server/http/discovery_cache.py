"""The cache of discovery answers: bounded, least recently used leaves first, entries die after a time.

The key holds all that an answer depends on, so a stale answer cannot be found (spec http-api.md 1.3, OURS).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from catalog_server.http.messages import Response

HIT = (b"x-cache", b"HIT")
MISS = (b"x-cache", b"MISS")


class DiscoveryCache:
    """Answers by key, for `ttl_seconds`; of `max_entries` 0 nothing is kept and no header says so."""

    def __init__(self, *, ttl_seconds: int, max_entries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_seconds = ttl_seconds
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[float, Response]] = OrderedDict()

    def get(self, key: Hashable, build: Callable[[], Response]) -> Response:
        """The kept answer, marked as a hit, or a new one, marked as a miss."""
        if not self._max_entries:
            return build()
        now = self._clock()
        entry = self._entries.get(key)
        if entry is not None and entry[0] > now:
            self._entries.move_to_end(key)
            return entry[1]
        response = build()
        self._entries[key] = (now + self._ttl_seconds, response.with_headers(HIT))
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return response.with_headers(MISS)
