"""The last document of each http source, with what tells its server that we have it.

A cache and nothing more: an entry that is damaged or missing costs one full transfer, so nothing here fails a fetch.
Names are hashes, and a file says of its origin only what the server called the version. Safe to share between threads
and processes; nothing else may use the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

_FORMAT: Final = 1
_DIGEST_LENGTH: Final = 64
_MOST_HEAD_BYTES: Final = 8192
_TEMPORARY: Final = ".new-"
_STALE_SECONDS: Final = 3600

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A document and the validators that came with it. `place` is the digest of the target that sent both."""

    body: bytes
    place: str
    etag: str | None = None
    last_modified: str | None = None


class HTTPCache:
    """At most `total_bytes` on disk; the entries that were used longest ago go first."""

    def __init__(self, folder: Path, total_bytes: int) -> None:
        self._folder = folder
        self._total_bytes = total_bytes

    def read(self, key: str, max_bytes: int) -> Entry | None:
        """None when there is no entry, or none that can be trusted, or one that is larger than `max_bytes`."""
        path = self._folder / key
        try:
            if path.stat().st_size > max_bytes + _MOST_HEAD_BYTES:
                return None
            entry = _parse(path.read_bytes())
            os.utime(path)
        except (OSError, ValueError):
            return None
        return entry if len(entry.body) <= max_bytes else None

    def write(self, key: str, entry: Entry) -> None:
        content = _format(entry)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._make_room(key, len(content)):
                self._replace(self._folder / key, content)
        except OSError as error:
            log.warning("document of an http source not kept", reason=error.strerror or type(error).__name__)

    def drop(self, key: str) -> None:
        with suppress(OSError):
            (self._folder / key).unlink()

    def _replace(self, path: Path, content: bytes) -> None:
        descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=self._folder)  # for its owner only
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            os.replace(name, path)
        except OSError:
            with suppress(OSError):
                os.unlink(name)
            raise

    def _make_room(self, key: str, size: int) -> bool:
        """Whether `size` bytes fit, after old entries have gone."""
        if size > self._total_bytes:
            self.drop(key)
            return False
        kept = []
        for found in os.scandir(self._folder):
            with suppress(OSError):  # another process was quicker
                status = found.stat(follow_symlinks=False)
                if found.name.startswith(_TEMPORARY):  # of a write that is under way, or of a killed server
                    if status.st_mtime < time.time() - _STALE_SECONDS:
                        os.unlink(found.path)
                elif found.name != key:
                    kept.append((status.st_mtime_ns, status.st_size, found.path))
        room = self._total_bytes - size - sum(length for _, length, _ in kept)
        for _, length, path in sorted(kept):
            if room >= 0:
                break
            with suppress(OSError):
                os.unlink(path)
            room += length
        return True


def _format(entry: Entry) -> bytes:
    head = json.dumps([_FORMAT, entry.place, entry.etag, entry.last_modified]).encode()
    rest = head + b"\n" + entry.body
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def _parse(content: bytes) -> Entry:
    """Raises ValueError for anything but what _format has made."""
    digest, rest = content[:_DIGEST_LENGTH], memoryview(content)[_DIGEST_LENGTH + 1 :]
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise ValueError("damaged")
    end = content.index(b"\n", _DIGEST_LENGTH + 1)
    version, place, etag, last_modified = json.loads(content[_DIGEST_LENGTH + 1 : end])
    if version != _FORMAT:
        raise ValueError("of another release")
    return Entry(content[end + 1 :], place, etag, last_modified)
