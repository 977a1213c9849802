"""What a store of the sources configuration promises, whichever it is, and what all of them share.

For: load, compare-and-swap save, revisions, and `save_with_retry`, which makes one change against whatever is stored.
Not for: what the bytes mean: editing.py changes them and parser.py reads them. A store keeps them to the byte.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from catalog_server.errors import Conflict, Invalid, NotFound, TooLarge, Unavailable

SHORT: Final = 8
"""Digits of a hash that name a revision in lists; the least that a caller may ask for."""
MAX_REASON_LENGTH: Final = 500
MAX_RETRIES: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.05
_VERSION: Final = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored now. `version` is the SHA-256 of the bytes in hex."""

    data: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Revision:
    """A state of the configuration. `version` is the short form of `hash`; `timestamp` says when it was saved.

    Author and reason are empty for a state that did not come through us, such as an edit by hand.
    """

    version: str
    hash: str
    timestamp: datetime
    size: int
    author: str = ""
    reason: str = ""
    current: bool = False


class Store(Protocol):
    """The home of one sources configuration. Safe to use from several threads and, but for memory, processes."""

    def load(self) -> Stored:
        """Read what is stored. Raises Unavailable, or TooLarge."""
        ...

    def save(self, data: bytes, expected_version: str, *, author: str = "", reason: str = "") -> str:
        """Replace what is stored and return the new version; the same bytes again change nothing.

        Raises Conflict when something else than `expected_version` is stored, TooLarge, or Unavailable when the store
        is read-only or broken. An exception leaves what was stored in place.
        """
        ...

    def changing(self) -> AbstractContextManager[object]:
        """Held from a load to the save that follows, where the store can keep others from saving in between.

        Raises Unavailable when another holds it for too long, or the store is broken.
        """
        ...

    def list_revisions(self) -> list[Revision]:
        """The present state first, then older ones."""
        ...

    def read_revision(self, version: str) -> bytes:
        """The bytes of the revision whose hash starts with `version`, 8 digits or more.

        Raises Invalid when it is no version, NotFound when there is none, Conflict when there are several.
        """
        ...

    def is_writable(self) -> str | None:
        """None, or the reason why a save cannot work."""
        ...

    def describe(self) -> str:
        """Where it is, in a few words; also the origin of the sources in it."""
        ...


def version_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check_size(data: bytes, max_bytes: int) -> None:
    """Raises TooLarge."""
    if len(data) > max_bytes:
        raise too_large(max_bytes)


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"config file exceeds maximum allowed size of {max_bytes} bytes", code="content_too_large")


def read_only(problem: str) -> Unavailable:
    return Unavailable(f"config store is read-only: {problem}")


def check_version(version: str) -> str:
    """`version` in lower case, if it can name a revision. Raises Invalid."""
    lowered = version.lower()
    if _VERSION.fullmatch(lowered) is None:
        raise Invalid(f"{version[:80]!r} is not a version: give 8 to 64 hexadecimal digits", field="version")
    return lowered


def check_expected(stored: str, expected: str) -> None:
    """Raises Conflict when the `stored` version is not the `expected` one."""
    if stored != expected:
        raise Conflict(
            "config was modified externally, retry the operation"
            f" (expected version {expected[:SHORT] or 'none'}, stored is {stored[:SHORT]})"
        )


def pick_revision(candidates: Iterable[str], version: str) -> str:
    """The one hash that starts with `version`. Raises NotFound, or Conflict when it is ambiguous."""
    found = {candidate for candidate in candidates if candidate.startswith(version)}
    if not found:
        raise NotFound(f"there is no revision {version[:16]}")
    if len(found) > 1:
        raise Conflict(f"several revisions start with {version}: give more digits of the hash")
    return found.pop()


def save_with_retry(
    store: Store,
    change: Callable[[bytes], bytes],
    *,
    author: str = "",
    reason: str = "",
    retries: int = MAX_RETRIES,
    stop: threading.Event | None = None,
) -> Stored:
    """Load, `change` and save; begin anew when somebody else saved in between, at most `retries` times.

    For changes that make sense whatever the rest of the file holds, such as replacing one source. Other errors, those
    of `change` among them, end it at once; `stop` ends a pause.
    """
    stop = stop or threading.Event()
    attempt = 0
    while True:
        with store.changing():
            stored = store.load()
            data = change(stored.data)
            try:
                return Stored(data, store.save(data, stored.version, author=author, reason=reason))
            except Conflict:
                if attempt == retries:
                    raise
        if stop.wait(_FIRST_PAUSE_SECONDS * 2**attempt):
            raise Unavailable("the server is stopping")
        attempt += 1
