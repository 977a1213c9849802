"""Putting a whole file in place at once: whoever reads, and whatever breaks, sees the old bytes or the new ones.

For: the sources file and its history. The caller holds the lock that keeps other writers away.
Not for: deciding whether to write; that is file.py.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Final

AtStep = Callable[[str], None]
_PREFIX: Final = ".sources-"
_SUFFIX: Final = ".yaml.tmp"
_MOUNTS: Final = Path("/proc/self/mountinfo")
_NEW_FILE_MODE: Final = 0o644
_GROUP_BITS: Final = 0o070


def no_step(name: str) -> None:
    """Nothing; tests put a hook in its place to stop the process between two steps."""


def replace_file(path: Path, data: bytes, *, like: os.stat_result | None, at_step: AtStep = no_step) -> None:
    """Make `data` the content of `path`, with the owner and mode of `like`. Raises OSError; `path` is whole then.

    Returns when the bytes are on the disk, not just on their way.
    """
    with staged_file(path, data, like=like, at_step=at_step) as put_in_place:
        put_in_place()


@contextmanager
def staged_file(
    path: Path, data: bytes, *, like: os.stat_result | None, at_step: AtStep = no_step
) -> Iterator[Callable[[], None]]:
    """The same in two steps: `data` is on the disk beside `path`, and the yielded function puts it in place.

    When the function was not called, or failed, at the end of the context, nothing is left behind.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{_PREFIX}{path.name}-", suffix=_SUFFIX, dir=path.parent)
    try:
        try:
            at_step("temp-created")
            _write_all(descriptor, data)
            _give_owner_and_mode(descriptor, like)
            at_step("temp-written")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        at_step("temp-synced")

        def put_in_place() -> None:
            os.replace(name, path)
            at_step("renamed")
            sync_folder(path.parent)

        yield put_in_place
    finally:
        with suppress(OSError):
            os.unlink(name)  # gone already when it was put in place


def is_mounted(target: Path) -> bool:
    """Whether `target` is a mount point, as a file in a container may be: renaming over it fails."""
    try:
        mounts = _MOUNTS.read_text().splitlines()
    except OSError:
        return False
    escaped = str(target).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    return any(line.split(" ", 5)[4] == escaped for line in mounts)


def remove_leftovers(path: Path, *, older_seconds: float = 0) -> None:
    """Remove what writers of `path` left behind that were killed.

    Only for the holder of the lock; or, where there is none, with an age that no living writer's file reaches.
    """
    for leftover in path.parent.glob(f"{escape(f'{_PREFIX}{path.name}-')}*{_SUFFIX}"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime >= older_seconds:
                leftover.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: the rename itself is lost in a power cut otherwise."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _give_owner_and_mode(descriptor: int, like: os.stat_result | None) -> None:
    if like is None:
        os.fchmod(descriptor, _NEW_FILE_MODE)
        return
    mode = like.st_mode & 0o777
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        try:
            os.fchown(descriptor, like.st_uid, like.st_gid)
        except PermissionError:
            try:
                os.fchown(descriptor, -1, like.st_gid)
            except PermissionError:
                mode &= ~_GROUP_BITS  # what one group may read is not for another
    os.fchmod(descriptor, mode)
