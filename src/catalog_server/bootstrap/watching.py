"""Notices changed files within a second or two, however they were saved.

The kernel's notifications are only the alarm clock; what counts is what `stat` says about each file. So a file that is
replaced by rename, truncated and written, or swapped behind a symlink (as mounted ConfigMaps are) is noticed alike,
and where notifications do not arrive (network and container mounts) the clock rings once a second anyway.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from watchfiles import watch as watch_folders

_POLL_MS = 1000
_STEP_MS = 50
_DEBOUNCE_MS = 200
_SETTLE_SECONDS = 0.15
_MAX_SETTLE_ROUNDS = 6
Stamp = tuple[int, int, int] | None


def watch(
    files: Callable[[], set[Path]], folders: Callable[[], set[Path]], stop: threading.Event
) -> Iterator[set[Path]]:
    """Yield sets of files that changed, appeared or vanished, until `stop` is set.

    An empty set is yielded about once a second: the caller may have something left to do. The first set holds every
    file: what changed between the caller's reading and now would be missed for good otherwise.
    """
    known: dict[Path, Stamp] = {}
    while not stop.is_set():
        watched = _existing(folders())
        for _ in _alarms(watched, stop):
            changed = _changes(known, files(), stop)
            yield changed
            if changed and _existing(folders()) != watched:
                break


def _existing(folders: set[Path]) -> set[Path]:
    """Those that can be watched: of a name that is too long, or one that is forbidden, `is_dir` would raise."""
    return {folder for folder in folders if os.path.isdir(folder)}


def _alarms(folders: set[Path], stop: threading.Event) -> Iterator[object]:
    if not folders:
        while not stop.wait(_POLL_MS / 1000):
            yield None
        return
    yield from watch_folders(
        *folders,
        watch_filter=None,
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        stop_event=stop,
        rust_timeout=_POLL_MS,
        yield_on_timeout=True,
        recursive=False,
        raise_interrupt=False,
    )


def _changes(known: dict[Path, Stamp], files: set[Path], stop: threading.Event) -> set[Path]:
    """What differs from `known`, once it has stopped changing; `known` is brought up to date."""
    stamps = {path: stamp_of(path) for path in files | set(known)}
    if stamps == known:
        return set()
    for _ in range(_MAX_SETTLE_ROUNDS):
        # A file that is being written now would be read in part.
        stop.wait(_SETTLE_SECONDS)
        settled = {path: stamp_of(path) for path in stamps}
        if settled == stamps:
            break
        stamps = settled
    changed = {path for path, stamp in stamps.items() if path not in known or known[path] != stamp}
    known.clear()
    known.update({path: stamp for path, stamp in stamps.items() if path in files})
    return changed


def stamp_of(path: Path) -> Stamp:
    """Identity, size and time of a file; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
