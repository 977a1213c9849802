"""Finished answers, kept by what they depend on: the least recently used leaves first.

An entry belongs to a version, a text for the state that the answer was made of. A new state has another version, so
that a stale answer is never found, on no replica, and nothing has to be cleared (platform.md 7).
Not for: which requests are answered from it (middleware/conditional.py).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from catalog_server.http.messages import Header, Response

Key = tuple[str, bytes, bytes]
"""Namespace, path, query."""
_ENTRY_OVERHEAD_BYTES = 512
_HIT: tuple[Header, ...] = ((b"x-cache", b"HIT"),)
_MISS: tuple[Header, ...] = ((b"x-cache", b"MISS"),)


class Entry(NamedTuple):
    """An answer, the version that it belongs to, its ETag, and when it dies, by the clock of the cache."""

    version: str
    etag: str
    response: Response
    until: float


class AnswerCache:
    """Bounded in bytes and in entries, which die after `ttl_seconds`. Of 0 bytes nothing is kept."""

    def __init__(
        self,
        *,
        max_bytes: float = math.inf,
        max_entries: float = math.inf,
        ttl_seconds: float = math.inf,
        is_told: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_told`: the header X-Cache says whether an answer came from here."""
        self.hit, self.miss = (_HIT, _MISS) if is_told else ((), ())
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._size = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_on(self) -> bool:
        return self._max_bytes > 0

    def get(self, key: Key, version: str) -> Entry | None:
        """The entry of this version, unless it has died."""
        entry = self._entries.get(key)
        if entry is None or entry.version != version:
            return None
        if entry.until <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, version: str, etag: str, response: Response) -> None:
        size = _size_of(key, response)
        if size * 8 > self._max_bytes:  # one huge answer must not push out everything else
            return
        self._drop(key)
        kept = response.plus(*self.hit) if self.hit else response
        self._entries[key] = Entry(version, etag, kept, self._clock() + self._ttl_seconds)
        self._size += _size_of(key, kept)
        while self._size > self._max_bytes or len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= _size_of(key, entry.response)


def _size_of(key: Key, response: Response) -> int:
    # A compressed copy may come to it later and is about a quarter of the size.
    return len(response.body) * 5 // 4 + len(key[1]) + len(key[2]) + _ENTRY_OVERHEAD_BYTES
