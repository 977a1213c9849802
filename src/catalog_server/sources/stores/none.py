"""The store of mode `none`: changes live until the process ends, or until the file is changed by hand.

For: trying things out, and read-only set-ups whose operators change the file themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from catalog_server.errors import Invalid, Unavailable
from catalog_server.sources.stores.base import Revision, Stored, check_expected, check_size, version_of

MAX_BYTES: Final = 1024 * 1024


class MemoryStore:
    """Starts with what `read` gives, as a rule the bytes of the sources file; `origin` is what describe() says."""

    def __init__(self, read: Callable[[], bytes], *, origin: str = "memory") -> None:
        self._read = read
        self._origin = origin
        self._seen = read()
        self._stored = Stored(self._seen, version_of(self._seen))
        self._lock = threading.Lock()

    def load(self) -> Stored:
        """What is held. A file that was changed by hand since replaces it: that is how its operator speaks to us."""
        with self._lock:
            try:
                found = self._read()
            except Invalid as error:
                raise Unavailable(f"the sources file: {error.reason}") from error
            if found != self._seen:
                self._seen = found
                self._stored = Stored(found, version_of(found))
            return self._stored

    def save(self, data: bytes, expected_version: str, *, author: str = "", reason: str = "") -> str:
        check_size(data, MAX_BYTES)
        with self._lock:
            check_expected(self._stored.version, expected_version)
            self._stored = Stored(data, version_of(data))
            return self._stored.version

    def changing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def list_revisions(self) -> list[Revision]:
        return []

    def read_revision(self, version: str) -> bytes:
        raise Invalid("there are no revisions: the config store mode is none", field="version")

    def is_writable(self) -> str | None:
        return None

    def describe(self) -> str:
        return self._origin
