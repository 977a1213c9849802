"""The store of mode `file`: the operator's sources file itself, written back whole.

A save compares and swaps under a lock that holds across threads and processes, keeps the old bytes in `.history`
beside the file, and goes through a temporary file, so that at any moment the old or the new file is there, whole. A
symlinked file is written where the link points to; that is where lock and history are as well.
Not for: what is mounted read-only, as in the shipped Compose file: it is found out at start and each save refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from catalog_server.errors import Invalid, TooLarge, Unavailable
from catalog_server.sources.paths import read_file
from catalog_server.sources.stores.base import (
    MAX_REASON_LENGTH,
    SHORT,
    Revision,
    Stored,
    check_expected,
    check_size,
    check_version,
    pick_revision,
    read_only,
    too_large,
    version_of,
)
from catalog_server.sources.stores.history import History, Note
from catalog_server.sources.stores.replacing import AtStep, is_mounted, no_step, remove_leftovers, replace_file

MAX_BYTES: Final = 1024 * 1024
LOCK_SECONDS: Final = 10.0
STEPS: Final = (
    *("locked", "snapshot-written", "note-written"),
    *("temp-created", "temp-written", "temp-synced", "renamed", "directory-synced"),
)
"""What `at_step` is told while a save goes on, in this order."""
_LOCK_PAUSE_SECONDS: Final = 0.01

log = structlog.get_logger(__name__)


class FileStore:
    """`path` is the sources file; it need not be writable. Raises Invalid for a path that leads up with `..`."""

    def __init__(self, path: Path, *, lock_seconds: float = LOCK_SECONDS, at_step: AtStep = no_step) -> None:
        if ".." in Path(os.path.normpath(path)).parts:
            raise Invalid(f"the path of the sources file must not lead up: {path}", code="path_outside_roots")
        self._path = path.absolute()
        self._lock_seconds = lock_seconds
        self._at_step = at_step
        self._lock = threading.RLock()
        self._is_held = False
        self._problem = _write_problem(self._target())

    def load(self) -> Stored:
        return _read(self._target())

    def save(self, data: bytes, expected_version: str, *, author: str = "", reason: str = "") -> str:
        check_size(data, MAX_BYTES)
        target = self._target()
        self._problem = _write_problem(target)
        if self._problem is not None:
            raise read_only(self._problem)
        try:
            with self._exclusive(target):
                self._at_step("locked")
                stored = _read(target)
                check_expected(stored.version, expected_version)
                version = version_of(data)
                if version != stored.version:
                    note = Note(datetime.now(UTC), author, reason[:MAX_REASON_LENGTH])
                    self._swap(target, stored, Stored(data, version), note)
                return version
        except OSError as error:
            raise self._failure(target, error) from error

    def changing(self) -> AbstractContextManager[None]:
        return self._exclusive(self._target())

    def list_revisions(self) -> list[Revision]:
        target = self._target()
        stored = _read(target)
        history = History(target, MAX_BYTES)
        note = history.note_of_current(stored.version) or _note_by_hand(target)
        current = Revision(
            stored.version[:SHORT], stored.version, note.saved_at, len(stored.data), note.author, note.reason, True
        )
        return [current, *history.revisions(skipped=stored.version)]

    def read_revision(self, version: str) -> bytes:
        version = check_version(version)
        target = self._target()
        stored = _read(target)
        history = History(target, MAX_BYTES)
        found = {stored.version: stored.data}
        for snapshot in history.snapshots():
            if snapshot.short == version[:SHORT] and (data := history.read(snapshot)) is not None:
                found[version_of(data)] = data
        return found[pick_revision(found, version)]

    def is_writable(self) -> str | None:
        if self._problem is not None:  # a volume may be mounted anew
            self._problem = _write_problem(self._target())
        return self._problem

    def describe(self) -> str:
        return str(self._path)

    def _target(self) -> Path:
        return Path(os.path.realpath(self._path))

    def _swap(self, target: Path, old: Stored, new: Stored, note: Note) -> None:
        """Keep `old` in the history, then put `new` in its place. Raises OSError."""
        remove_leftovers(target)
        history = History(target, MAX_BYTES)
        history.remove_leftovers()
        like = target.stat()
        old_note = history.note_of_current(old.version) or _note_by_hand(target)
        history.add(old.data, old_note, like)
        self._at_step("snapshot-written")
        history.write_current({old.version: old_note, new.version: note}, like)
        self._at_step("note-written")
        replace_file(target, new.data, like=like, at_step=self._at_step)
        self._at_step("directory-synced")
        try:
            history.prune()
        except OSError as error:  # the save is done, and the next one prunes again
            log.warning("config_history_not_pruned", problem=str(error))

    @contextmanager
    def _exclusive(self, target: Path) -> Iterator[None]:
        """Hold the lock, which is a file of its own: the sources file is a new one after each save.

        A thread that holds it already may do so again.
        """
        deadline = time.monotonic() + self._lock_seconds
        if not self._lock.acquire(timeout=self._lock_seconds):
            raise _locked()
        try:
            if self._is_held:
                yield
                return
            lock_file = target.with_name(f".{target.name}.lock")
            flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                descriptor = os.open(lock_file, flags, 0o644)
            except OSError as error:
                raise self._failure(target, error) from error
            try:
                _wait_for(descriptor, deadline)
                self._is_held = True
                yield
            finally:
                self._is_held = False
                os.close(descriptor)  # and with it the lock goes
        finally:
            self._lock.release()

    def _failure(self, target: Path, error: OSError) -> Unavailable:
        self._problem = _write_problem(target)
        if self._problem is not None:
            return read_only(self._problem)
        return Unavailable(f"the sources file could not be saved: {error.strerror or error}")


def _read(target: Path) -> Stored:
    try:
        if target.stat().st_size > MAX_BYTES:
            raise too_large(MAX_BYTES)
        data = read_file(target, MAX_BYTES)
    except TooLarge as error:
        raise too_large(MAX_BYTES) from error
    except Invalid as error:
        raise Unavailable(f"the sources file: {error.reason}") from error
    except OSError as error:
        raise Unavailable(f"the sources file {target.name!r} cannot be read: {error.strerror}") from error
    return Stored(data, version_of(data))


def _note_by_hand(target: Path) -> Note:
    """For a state that was not saved by us: all that is known is when the file was written."""
    try:
        return Note(datetime.fromtimestamp(target.stat().st_mtime, UTC))
    except OSError as error:  # removed since it was read
        raise Unavailable(f"the sources file {target.name!r} cannot be read: {error.strerror}") from error


def _wait_for(descriptor: int, deadline: float) -> None:
    pause = threading.Event()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _locked() from None
        pause.wait(_LOCK_PAUSE_SECONDS)


def _write_problem(target: Path) -> str | None:
    """Why `target` cannot be replaced, if so. Tried out, because permissions alone do not tell."""
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        if error.errno == errno.ENOSPC:  # passes, and a save says so by itself
            return None
        return f"the folder {target.parent} cannot be written: {error.strerror}"
    if target.exists() and not os.access(target, os.W_OK):
        return f"the file {target} is read-only"
    if is_mounted(target):
        return f"the file {target} is mounted by itself and cannot be replaced: mount its folder instead"
    return None


def _locked() -> Unavailable:
    return Unavailable("the sources file is locked by another process")
