"""A folder for what the database has not taken yet, one file for each event.

For: events that must outlive a lost database and the end of this process; and changes that are about to be made, which
a process that dies leaves behind as the only trace. When a method returns, the disk has it.
Not for: when to use it, and what is done with what is left; that is trail.py.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

MAX_FILES: Final = 10_000
"""A bound for a database that stays away while somebody goes on asking: about 10 MB of usual events."""
_EVENT, _ANNOUNCED, _BROKEN, _UNFINISHED = ".event", ".announced", ".broken", ".tmp"
_ABANDONED_SECONDS: Final = 3600


class Kept(NamedTuple):
    """A file of the spool. `is_final`: it says what came of the change; else whoever was to make it is dead."""

    path: Path
    data: bytes
    is_final: bool


class Spool:
    """Safe to use from several threads, and from processes that share the folder."""

    def __init__(self, folder: Path, *, max_files: int = MAX_FILES) -> None:
        self._folder = folder
        self._max_files = max_files
        self._lock = threading.Lock()
        self._announced: dict[str, int] = {}  # id -> descriptor, whose lock says that this process lives

    def put(self, event_id: str, data: bytes) -> None:
        """Keep an event. Raises OSError: the disk does not take it, or the folder is full."""
        os.close(self._write(event_id, _EVENT, data))

    def announce(self, event_id: str, data: bytes) -> None:
        """Keep what is going to happen until `withdraw`; again, with what is better known now. Raises OSError."""
        descriptor = self._write(event_id, _ANNOUNCED, data)
        with self._lock:
            before = self._announced.get(event_id)
            self._announced[event_id] = descriptor
        if before is not None:
            os.close(before)

    def withdraw(self, event_id: str) -> None:
        """What was announced has happened, and is told elsewhere."""
        with self._lock:
            descriptor = self._announced.pop(event_id, None)
        if descriptor is not None:
            self.remove(self._folder / f"{event_id}{_ANNOUNCED}")
            os.close(descriptor)

    def kept(self) -> Iterator[Kept]:
        """The events, and the announcements of processes that are dead."""
        for path in sorted(self._folder.glob(f"*{_EVENT}")):
            with suppress(FileNotFoundError):  # another process was faster
                yield Kept(path, path.read_bytes(), True)
        for path in sorted(self._folder.glob(f"*{_ANNOUNCED}")):
            with suppress(FileNotFoundError, BlockingIOError):
                yield Kept(path, _read_abandoned(path), False)
        self._remove_unfinished()

    def count(self) -> int:
        """How many events there are; announcements, which may come to nothing, are not counted."""
        return sum(1 for _ in self._folder.glob(f"*{_EVENT}"))

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> None:
        """Out of the way, but not away: for a person to look at."""
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(_BROKEN))

    def _write(self, event_id: str, suffix: str, data: bytes) -> int:
        """Write a file as a whole; the descriptor that comes back holds its lock."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if len(os.listdir(self._folder)) >= self._max_files:
            raise OSError(f"{self._max_files} files are kept already")
        path = self._folder / f"{event_id}{suffix}"
        unfinished = path.with_suffix(f"{suffix}{_UNFINISHED}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(data)
            os.fsync(descriptor)
            unfinished.rename(path)
            self._sync_folder()
        except BaseException:
            os.close(descriptor)
            unfinished.unlink(missing_ok=True)
            raise
        return descriptor

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _remove_unfinished(self) -> None:
        for path in self._folder.glob(f"*{_UNFINISHED}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                    path.unlink()


def _read_abandoned(path: Path) -> bytes:
    """Raises BlockingIOError: who wrote it lives."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file.read()
