"""The store of mode `none`: changes live until the process ends.

For: trying things out, and read-only set-ups whose operators change the file themselves.
"""

from __future__ import annotations

import threading
from typing import Final

from catalog_server.errors import Invalid
from catalog_server.sources.stores.base import Revision, Stored, check_expected, check_size, version_of

MAX_BYTES: Final = 1024 * 1024


class MemoryStore:
    """Starts with `data`, as a rule the bytes of the sources file; `origin` is what describe() says."""

    def __init__(self, data: bytes, *, origin: str = "memory") -> None:
        self._stored = Stored(data, version_of(data))
        self._origin = origin
        self._lock = threading.Lock()

    def load(self) -> Stored:
        return self._stored

    def save(self, data: bytes, expected_version: str, *, author: str = "", reason: str = "") -> str:
        check_size(data, MAX_BYTES)
        with self._lock:
            check_expected(self._stored.version, expected_version)
            self._stored = Stored(data, version_of(data))
            return self._stored.version

    def list_revisions(self) -> list[Revision]:
        return []

    def read_revision(self, version: str) -> bytes:
        raise Invalid("there are no revisions: the config store mode is none", field="version")

    def is_writable(self) -> str | None:
        return None

    def describe(self) -> str:
        return self._origin
